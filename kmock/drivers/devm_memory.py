"""Memory and actions that a device can own (the second half of ``drivers/base/devres.c``).

How each is released, and found again, stands beside how it is made.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kmock.drivers.devres import HEADER
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import page_addr, percpu_misuse, percpu_var, util
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.krealloc import resize, usable_size
from kmock.mm.page import PageBlock
from kmock.mm.slab import SlabObject
from kmock.mm.slub import ZERO_SIZE
from kmock.sanitizers import string_checks as checks
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import SCAN_HELD

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.drivers.core import device
    from kmock.drivers.devres import Node, Release
    from kmock.machine import Kernel
    from kmock.mm.percpu_var import Cookie

SIZEOF_POINTER: Final = 8
SIZEOF_PAIR: Final = 16


class Action(NamedTuple):
    """``struct action_devres``: a function to call with ``data``."""

    action: Callable[[Any], object]
    data: Any


class Pages(NamedTuple):
    """``struct pages_devres``."""

    addr: Ptr
    order: int


class ManagedMemory:
    """What the devices of one machine may own: memory, pages, actions."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def own(self, dev: device, release: Release, res: Any, size: int) -> bool:
        """Let ``dev`` own ``res``, of which the kernel keeps ``size`` bytes; False if there is no memory for that."""
        node = self._node(dev, release, size)
        if node is None:
            return False
        self._add(dev, node, res)
        return True

    def _node(self, dev: device, release: Release, size: int) -> Node | None:
        name = getattr(release, "__name__", "").lstrip("_")
        return self.kernel.devres.alloc(release, size, GFP_KERNEL, dev.numa_node, name)

    def _add(self, dev: device, node: Node, res: Any) -> None:
        node.res = res
        self.kernel.devres.add(dev, node)

    def _not_owned(self, at: str, by: str, key: object = None) -> None:
        """``WARN_ON(devres_destroy(...))``."""
        self.kernel.warn("devm-unmanaged-release", at, by, key=key)

    # -- actions --------------------------------------------------------------------------------------

    def add_action(self, dev: device, action: Callable[[Any], object], data: Any) -> int:
        """``devm_add_action()``: 0 or -ENOMEM."""
        return 0 if self.own(dev, self._act, Action(action, data), SIZEOF_PAIR) else -errno.ENOMEM

    def remove_action(self, dev: device, action: Callable[[Any], object], data: Any) -> None:
        """``devm_remove_action()``: forget it."""
        if self.kernel.devres.destroy(dev, self._act, _same_action, Action(action, data)):
            self._not_owned("drivers/base/devres.c:771", "devm_remove_action")

    def release_action(self, dev: device, action: Callable[[Any], object], data: Any) -> None:
        """``devm_release_action()``: call it now."""
        if self.kernel.devres.release(dev, self._act, _same_action, Action(action, data)):
            self._not_owned("drivers/base/devres.c:793", "devm_release_action")

    def _act(self, dev: device, res: Action) -> None:
        res.action(res.data)

    # -- memory ---------------------------------------------------------------------------------------

    def kmalloc(self, dev: device, size: int, gfp: int) -> Ptr:
        """``devm_kmalloc()``: ``size`` bytes that go with the driver; NULL, or ZERO_SIZE_PTR for 0."""
        k = self.kernel
        if not size:
            return k.slab.zero_size()
        node = k.devres.alloc_dr(self._kmalloc_release, size, gfp, dev.numa_node, "devm_kzalloc_release")
        if node is None:
            return k.slab.failed(k.slab.kmalloc_cache(7, gfp), size)
        k.slab.claim(node.memory, "devm_kfree")
        k.devres.add(dev, node)
        return node.data

    def kfree(self, dev: device, ptr: Ptr) -> None:
        """``devm_kfree()``: give memory back early; what this device does not own stays as it is."""
        k = self.kernel
        if int(ptr) <= ZERO_SIZE or not k.devres.destroy(dev, self._kmalloc_release, same_address, ptr):
            return
        about = getattr(ptr, "origin", None) or k.mem.owner(int(ptr))
        plain = isinstance(about, SlabObject) and about.live and about.seq not in k.slab.claims
        kind = "devm-kfree-of-kmalloc" if plain else "devm-unmanaged-release"
        stacks = {"access": k.capture(), **(origin_stacks(about) if about is not None else {})}
        k.warn(kind, "drivers/base/devres.c:1073", "devm_kfree", stacks=stacks, key=about)

    def krealloc(self, dev: device, ptr: Ptr, size: int, gfp: int) -> Ptr:
        """``devm_krealloc()``: the same memory where it has room, else new memory in its place on the device's list."""
        k = self.kernel
        if not size:
            self.kfree(dev, ptr)
            return k.slab.zero_size()
        if int(ptr) <= ZERO_SIZE:
            return self.kmalloc(dev, size, gfp)
        about = getattr(ptr, "origin", None) or k.mem.owner(int(ptr))
        if not isinstance(about, SlabObject | PageBlock) or not about.live:
            text = "Pointer doesn't point to dynamically allocated memory."
            k.warn("devm-unmanaged-release", "drivers/base/devres.c:889", "devm_krealloc", text, key=about)
            return NULL
        room = usable_size(k, about, about.addr)
        if size + HEADER <= room:
            resize(about, max(about.size, size + HEADER))
            return make_ptr(int(ptr), about)
        return self._move(dev, ptr, size, gfp)

    def _move(self, dev: device, ptr: Ptr, size: int, gfp: int) -> Ptr:
        k = self.kernel
        new = k.devres.alloc_dr(self._kmalloc_release, size, gfp, dev.numa_node, "devm_krealloc_release")
        if new is None:
            return NULL
        old = k.devres.find(dev, self._kmalloc_release, same_address, ptr)
        if old is None:
            k.devres.free(new)
            text = "Memory chunk not managed or managed by a different device."
            k.warn("devm-unmanaged-release", "drivers/base/devres.c:924", "devm_krealloc", text, key=int(ptr))
            return NULL
        k.slab.claim(new.memory, "devm_kfree")
        k.devres.replace(dev, old, new)
        k.mem.copy(new.data, old.data, old.memory.size - HEADER)
        if isinstance(old.memory, SlabObject):
            old.memory.fate = "moved"
        k.devres.free(old)
        return new.data

    def _kmalloc_release(self, dev: device, res: Any) -> None:
        """Nothing has to go but the node itself."""

    def copy(self, dev: device, source: Any, size: int, gfp: int) -> Ptr:
        """``devm_kmemdup()``: a copy of ``size`` bytes of memory, or of a Python object that stands for some."""
        new = self.kmalloc(dev, size, gfp)
        if int(new) > ZERO_SIZE:
            util.copy_into(self.kernel, new, source, size)
        return new

    def string(self, dev: device, text: Any, gfp: int) -> Ptr:
        """``devm_kstrdup()``: a copy of a string; NULL of NULL."""
        if text is None or text == 0:
            return NULL
        data = checks.string(self.kernel, text) + b"\0"
        return self.copy(dev, data, len(data), gfp)

    def get_free_pages(self, dev: device, gfp: int, order: int) -> Ptr:
        """``devm_get_free_pages()``: the address of ``1 << order`` pages, 0 without memory."""
        k = self.kernel
        addr = page_addr.get_free_pages(k, gfp, order, "devm_get_free_pages")
        if addr and not self.own(dev, self._pages_release, Pages(addr, order), SIZEOF_PAIR):
            page_addr.free_pages(k, addr, order)
            return NULL
        held(addr)
        return addr

    def free_pages(self, dev: device, addr: int) -> None:
        """``devm_free_pages()``."""
        if self.kernel.devres.release(dev, self._pages_release, _same_pages, addr):
            self._not_owned("drivers/base/devres.c:1169", "devm_free_pages", int(addr))

    def _pages_release(self, dev: device, res: Pages) -> None:
        page_addr.free_pages(self.kernel, res.addr, res.order)

    def alloc_percpu(self, dev: device, type: Any) -> Cookie:
        """``devm_alloc_percpu()``: a zeroed object of ``type`` for every processor, NULL without memory."""
        k = self.kernel
        cookie = percpu_var.alloc(k, type, GFP_KERNEL, "devm_alloc_percpu")
        if cookie and not self.own(dev, self._percpu_release, cookie, SIZEOF_POINTER):
            percpu_misuse.free(k, cookie)
            return percpu_var.Cookie(0)
        held(cookie)
        return cookie

    def free_percpu(self, dev: device, cookie: Any) -> None:
        """``devm_free_percpu()``."""
        if self.kernel.devres.release(dev, self._percpu_release, same_address, cookie):
            self._not_owned("drivers/base/devres.c:1238", "devm_free_percpu", int(cookie))

    def _percpu_release(self, dev: device, res: Ptr) -> None:
        percpu_misuse.free(self.kernel, res)


# -- finding it again -----------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    """Whether two cookies are the same: pointers by value, objects by identity."""
    return a is b or (isinstance(a, int | str | bytes) and bool(a == b))


def same_address(dev: device, res: Any, data: Any) -> bool:
    """Match a resource by its address."""
    return int(res) == int(data)


def _same_action(dev: device, res: Action, data: Action) -> bool:
    return res.action == data.action and same(res.data, data.data)


def _same_pages(dev: device, res: Pages, data: int) -> bool:
    return int(res.addr) == int(data)


def held(ptr: Ptr) -> None:
    """The device answers for the memory from now on."""
    if ptr and ptr.origin is not None:
        ptr.origin.scan |= SCAN_HELD
