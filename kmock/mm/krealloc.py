"""The size of an object, and giving it another: ``ksize()``, ``krealloc()`` (``mm/slab_common.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import bad_free
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.page import PageBlock
from kmock.mm.sensitive import Sensitive
from kmock.mm.slab import SlabObject
from kmock.mm.slab_layout import KMALLOC_MAX_CACHE_SIZE
from kmock.mm.slub import ZERO_SIZE
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import UNWRITTEN, Allocation, FailedAllocation

if TYPE_CHECKING:
    from kmock.machine import Kernel


def ksize(k: Kernel, ptr: int) -> int:
    """``ksize()``: bytes that may be used at ``ptr``, and from now on are; 0 for NULL, ZERO_SIZE_PTR and freed memory."""
    if int(ptr) <= ZERO_SIZE:
        return 0
    about = _alive(k, ptr)
    if about is None:
        return 0
    n = usable_size(k, about, int(ptr))
    if n > about.size:
        k.report(
            "ksize-slack-use",
            "BUG: kmock: ksize-slack-use in ksize()",
            lines=[f"{about.size} bytes were asked for; ksize() opens {n}, which later kernels forbid to use"],
            stacks={"access": k.capture(), **origin_stacks(about)},
            key=(about, "ksize"),
        )
        resize(about, n)
    return n


def usable_size(k: Kernel, about: Allocation, address: int) -> int:
    """``__ksize()``."""
    if isinstance(about, SlabObject):
        return about.usable
    n = about.usable
    if n <= KMALLOC_MAX_CACHE_SIZE:
        k.warn("slab-free-non-heap", "mm/slab_common.c:1014", "__ksize", key=about)
        return 0
    if address != about.addr:
        k.warn("slab-interior-free", "mm/slab_common.c:1016", "__ksize", key=about)
        return 0
    return n


def _alive(k: Kernel, ptr: int) -> Allocation | None:
    """Return what lives at ``ptr``; report it if that was freed (``kasan_check_byte()``)."""
    about: Allocation | None = getattr(ptr, "origin", None)
    if about is None or isinstance(about, FailedAllocation):
        about = k.mem.owner(int(ptr))
    if not isinstance(about, SlabObject | PageBlock):
        bad_free.free(k, ptr, "krealloc")
        return None
    if not about.live:
        k.kasan.check(int(ptr), 1, write=False, origin=about)
        return None
    return about


def resize(about: Allocation, size: int) -> None:
    """Let an allocation's owner use ``size`` bytes of it from now on."""
    written = about.written
    if written is None and size > about.size:
        about.written = bytearray(b"\x01" * about.size + bytes(size - about.size))
    elif written:
        about.written = (bytearray(written) + bytes(max(0, size - about.size)))[:size]
    about.size = size


def krealloc(k: Kernel, ptr: Ptr, size: int, gfp: int) -> Ptr:
    """``krealloc()``: the same pointer where the new size fits, else a new one; NULL leaves the old one valid."""
    slub = k.slab
    if not size:
        slub.kfree(ptr)
        return slub.zero_size()
    if int(ptr) <= ZERO_SIZE:
        return slub.kmalloc(size, gfp)
    about = _alive(k, ptr)
    if about is None:
        # Only KASAN looks; without it the freed memory is taken for good.
        return NULL if k.kasan.on else slub.kmalloc(size, gfp)
    room = usable_size(k, about, int(ptr))
    if gfp & GFP_ZERO and size > about.size and isinstance(about, SlabObject) and not getattr(about, "zeroed", False):
        _assumed_zero(k, about)
    if room >= size:
        if gfp & GFP_ZERO or slub.init_on_alloc:
            k.ram.bytes[about.phys + size : about.phys + room] = bytes(room - size)
        resize(about, size)
        return make_ptr(int(ptr), about)
    new = slub.kmalloc(size, gfp)
    if not new:
        if isinstance(about, SlabObject):
            about.fate = "stayed"
        return new
    fresh = new.origin
    assert fresh is not None
    if isinstance(about, SlabObject):
        about.fate = "moved"
    k.ram.bytes[fresh.phys : fresh.phys + room] = k.ram.bytes[about.phys : about.phys + room]
    fresh.written = _carried(about, fresh)
    if k.mem.origins:
        k.mem._copy_origins(fresh.phys, about.phys, room)
    slub.kfree(make_ptr(int(ptr), about))
    return new


def _assumed_zero(k: Kernel, about: SlabObject) -> None:
    """Report growth by krealloc(__GFP_ZERO) of memory that was not zeroed: what it had in reserve stays as it was."""
    k.report(
        "krealloc-zero-assumption",
        "BUG: kmock: krealloc-zero-assumption in krealloc()",
        lines=[
            f"bytes {about.size} to {about.usable} of the old object were never zeroed, and krealloc() leaves them so"
        ],
        stacks={"access": k.capture(), **origin_stacks(about)},
        object=k.kasan.info(about, about.addr),
        key=(about, "zero"),
    )


def _carried(old: Allocation, new: Allocation) -> bytes | bytearray | None:
    """What counts as written in the copy of a resized object: as much as did before, and what was zeroed."""
    if new.written is None:
        # __GFP_ZERO zeroed all of it, but the copy brought the old object's bytes, slack included.
        rest = old.usable
        if old.written is None and old.size == rest:
            return None
        head = old.written or (bytes(old.size) if old.written is not None else b"\x01" * old.size)
        return bytearray(head) + bytes(rest - old.size) + b"\x01" * (new.size - rest)
    if old.written is not None and not old.written:
        return UNWRITTEN
    head = old.written or b"\x01" * old.size
    return (bytearray(head) + bytes(max(0, new.size - old.size)))[: new.size]


def kfree_sensitive(k: Kernel, ptr: Ptr) -> None:
    """``kfree_sensitive()``: clear, then free."""
    if int(ptr) <= ZERO_SIZE:
        return
    about = _alive(k, ptr)
    if about is None:
        return
    n = usable_size(k, about, int(ptr))
    k.ram.bytes[about.phys : about.phys + n] = bytes(n)
    about.written = None
    if k.config.lint and isinstance(about, SlabObject):
        k.slab.sensitive = k.slab.sensitive or Sensitive(k)
        k.slab.sensitive.learn(about)
    k.slab.kfree(ptr)
