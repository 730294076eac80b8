"""``<linux/device/devres.h>``: what a device gives back by itself, in reverse order, when its driver goes.

(Up to 6.13 a part of ``<linux/device.h>``.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.drivers.devres import null_or_data as _data
from kmock.lang.format import vsprintf
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.mm.gfp import __GFP_ZERO as _GFP_ZERO
from kmock.mm.util import is_literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.drivers.core import device
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.percpu_var import Cookie

_SIZE_MAX: Final = (1 << 64) - 1


def _name(release: Any) -> str:
    return str(getattr(release, "__name__", ""))


# -- resources of the driver's own ------------------------------------------------------------------


@api(since="2.6.21", sleeps=Sleeps.GFP, undo="devres_free", fails=True)
def devres_alloc(k: Kernel, release: Callable[[device, Ptr], object], size: int, gfp: int) -> Ptr:
    """Return ``size`` zeroed bytes for :func:`devres_add`, or NULL; ``release(dev, data)`` will give the resource back."""
    return _data(k.devres.alloc(release, size, gfp, name=_name(release)))


@api(since="3.18", sleeps=Sleeps.GFP, undo="devres_free", fails=True)
def devres_alloc_node(k: Kernel, release: Callable[[device, Ptr], object], size: int, gfp: int, nid: int) -> Ptr:
    """:func:`devres_alloc` with memory of a node."""
    return _data(k.devres.alloc(release, size, gfp, nid, _name(release)))


@api(since="2.6.21")
def devres_free(k: Kernel, res: Ptr) -> None:
    """Free what :func:`devres_alloc` gave and no device has; NULL is nothing to do."""
    if res:
        k.devres.free(k.devres.at(res))


@api(since="2.6.21")
def devres_add(k: Kernel, dev: device, res: Ptr) -> None:
    """Let ``dev`` own the resource that ``res`` tells of."""
    k.devres.add(dev, k.devres.at(res))


@api(since="2.6.21")
def devres_find(k: Kernel, dev: device, release: Any, match: Any = None, match_data: Any = None) -> Ptr:
    """The youngest resource with this release function that ``match(dev, data, match_data)`` agrees to, or NULL."""
    return _data(k.devres.find(dev, release, match, match_data))


@api(since="2.6.21")
def devres_get(k: Kernel, dev: device, new_res: Ptr, match: Any = None, match_data: Any = None) -> Ptr:
    """What :func:`devres_find` finds, and ``new_res`` is freed; else ``new_res``, which is added."""
    return _data(k.devres.get(dev, k.devres.at(new_res), match, match_data))


@api(since="2.6.21", undo="devres_free")
def devres_remove(k: Kernel, dev: device, release: Any, match: Any = None, match_data: Any = None) -> Ptr:
    """Take what :func:`devres_find` finds off the device; the caller frees it."""
    return _data(k.devres.remove(dev, release, match, match_data))


@api(since="2.6.21")
def devres_destroy(k: Kernel, dev: device, release: Any, match: Any = None, match_data: Any = None) -> int:
    """Take it off and free it without its release function: 0 or -ENOENT."""
    return k.devres.destroy(dev, release, match, match_data)


@api(since="3.4")
def devres_release(k: Kernel, dev: device, release: Any, match: Any = None, match_data: Any = None) -> int:
    """Take it off, call its release function and free it: 0 or -ENOENT."""
    return k.devres.release(dev, release, match, match_data)


@api(since="3.17")
def devres_for_each_res(
    k: Kernel,
    dev: device,
    release: Any,
    match: Any,
    match_data: Any,
    fn: Callable[[device, Ptr, Any], object],
    data: Any,
) -> None:
    """Call ``fn(dev, res, data)`` for each resource with this release function, the youngest first."""
    k.devres.each(dev, release, match, match_data, lambda dev, res: fn(dev, res, data))


@api(since="2.6.21")
def devres_release_all(k: Kernel, dev: device) -> int:
    """Release everything that ``dev`` owns, the youngest first; how many resources, or -ENODEV before initialisation."""
    return k.devices.release_managed(dev)


# -- groups -----------------------------------------------------------------------------------------


@api(since="2.6.21", sleeps=Sleeps.GFP, undo="devres_release_group", fails=True)
def devres_open_group(k: Kernel, dev: device, id: Any, gfp: int) -> Any:
    """Begin a group of resources: its ``id``, or a new one where that is NULL; NULL without memory."""
    return k.devres.open_group(dev, id, gfp)


@api(since="2.6.21")
def devres_close_group(k: Kernel, dev: device, id: Any) -> None:
    """End a group, the youngest open one where ``id`` is NULL."""
    k.devres.close_group(dev, id)


@api(since="2.6.21")
def devres_remove_group(k: Kernel, dev: device, id: Any) -> None:
    """Forget a group; its resources stay."""
    k.devres.remove_group(dev, id)


@api(since="2.6.21")
def devres_release_group(k: Kernel, dev: device, id: Any) -> int:
    """Release the resources of a group: how many there were."""
    return k.devres.release_group(dev, id)


# -- actions ----------------------------------------------------------------------------------------


@api(since="3.16", sleeps=Sleeps.ALWAYS, undo="devm_remove_action", fails=True)
def devm_add_action(k: Kernel, dev: device, action: Callable[[Any], object], data: Any) -> int:
    """Have ``action(data)`` called when the driver goes: 0 or -ENOMEM."""
    return k.managed.add_action(dev, action, data)


@api(since="4.6", sleeps=Sleeps.ALWAYS, undo="devm_remove_action", fails=True)
def devm_add_action_or_reset(k: Kernel, dev: device, action: Callable[[Any], object], data: Any) -> int:
    """:func:`devm_add_action` that calls ``action(data)`` at once where it fails."""
    err = k.managed.add_action(dev, action, data)
    if err:
        action(data)
    return err


@api(since="3.16")
def devm_remove_action(k: Kernel, dev: device, action: Callable[[Any], object], data: Any) -> None:
    """Forget an action."""
    k.managed.remove_action(dev, action, data)


@api(since="5.2")
def devm_release_action(k: Kernel, dev: device, action: Callable[[Any], object], data: Any) -> None:
    """Call an action now, and not again."""
    k.managed.release_action(dev, action, data)


# -- memory -----------------------------------------------------------------------------------------


@api(since="3.14", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kmalloc(k: Kernel, dev: device, size: int, gfp: int) -> Ptr:
    """Allocate ``size`` bytes that are freed when the driver goes; NULL, or ZERO_SIZE_PTR for 0."""
    return k.managed.kmalloc(dev, size, gfp)


@api(since="2.6.21", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kzalloc(k: Kernel, dev: device, size: int, gfp: int) -> Ptr:
    """:func:`devm_kmalloc`, zeroed."""
    return k.managed.kmalloc(dev, size, gfp | _GFP_ZERO)


@api(since="3.16", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kmalloc_array(k: Kernel, dev: device, n: int, size: int, flags: int) -> Ptr:
    """:func:`devm_kmalloc` of ``n`` times ``size`` bytes; NULL where that overflows."""
    return k.managed.kmalloc(dev, n * size, flags) if n * size <= _SIZE_MAX else _data(None)


@api(since="3.16", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kcalloc(k: Kernel, dev: device, n: int, size: int, flags: int) -> Ptr:
    """:func:`devm_kmalloc_array`, zeroed."""
    return k.managed.kmalloc(dev, n * size, flags | _GFP_ZERO) if n * size <= _SIZE_MAX else _data(None)


@api(since="5.10", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_krealloc(k: Kernel, dev: device, ptr: Ptr, size: int, gfp: int) -> Ptr:
    """Give managed memory another size, at its place among the resources; NULL leaves the old one valid."""
    return k.managed.krealloc(dev, ptr, size, gfp)


@api(since="2.6.21")
def devm_kfree(k: Kernel, dev: device, p: Ptr) -> None:
    """Free managed memory early; NULL and ZERO_SIZE_PTR are nothing to do."""
    if p is not None and not is_literal(k, p):
        k.managed.kfree(dev, p)


@api(since="3.5", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kmemdup(k: Kernel, dev: device, src: Any, len: int, gfp: int) -> Ptr:
    """A managed copy of ``len`` bytes, or NULL."""
    return k.managed.copy(dev, src, len, gfp)


@api(since="3.4", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kstrdup(k: Kernel, dev: device, s: Any, gfp: int) -> Ptr:
    """A managed copy of a string; NULL of NULL, or without memory."""
    return k.managed.string(dev, s, gfp)


@api(since="4.17", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kstrdup_const(k: Kernel, dev: device, s: Any, gfp: int) -> Any:
    """:func:`devm_kstrdup`, or the string itself where it is a literal."""
    return s if is_literal(k, s) else k.managed.string(dev, s, gfp)


@api(since="3.17", sleeps=Sleeps.GFP, undo="devm_kfree", fails=True)
def devm_kasprintf(k: Kernel, dev: device, gfp: int, fmt: str, *args: Any) -> Ptr:
    """A managed string, formatted."""
    return k.managed.string(dev, vsprintf(k, fmt, args), gfp)


@api(since="3.16", sleeps=Sleeps.GFP, undo="devm_free_pages", fails=True)
def devm_get_free_pages(k: Kernel, dev: device, gfp_mask: int, order: int) -> Ptr:
    """``__get_free_pages()`` for as long as the driver is there; 0 without memory."""
    return k.managed.get_free_pages(dev, gfp_mask, order)


@api(since="3.16")
def devm_free_pages(k: Kernel, dev: device, addr: int) -> None:
    """Give managed pages back early."""
    k.managed.free_pages(dev, addr)


@api(since="4.10", sleeps=Sleeps.ALWAYS, undo="devm_free_percpu", fails=True)
def devm_alloc_percpu(k: Kernel, dev: device, type: Any) -> Cookie:
    """``alloc_percpu()`` for as long as the driver is there; NULL without memory."""
    return k.managed.alloc_percpu(dev, type)


@api(since="4.10")
def devm_free_percpu(k: Kernel, dev: device, pdata: Any) -> None:
    """Give managed per-CPU memory back early."""
    k.managed.free_percpu(dev, pdata)


__getattr__ = header_getattr(__name__)
__all__ = [
    "devm_add_action",
    "devm_add_action_or_reset",
    "devm_alloc_percpu",
    "devm_free_pages",
    "devm_free_percpu",
    "devm_get_free_pages",
    "devm_kasprintf",
    "devm_kcalloc",
    "devm_kfree",
    "devm_kmalloc",
    "devm_kmalloc_array",
    "devm_kmemdup",
    "devm_krealloc",
    "devm_kstrdup",
    "devm_kstrdup_const",
    "devm_kzalloc",
    "devm_release_action",
    "devm_remove_action",
    "devres_add",
    "devres_alloc",
    "devres_alloc_node",
    "devres_close_group",
    "devres_destroy",
    "devres_find",
    "devres_for_each_res",
    "devres_free",
    "devres_get",
    "devres_open_group",
    "devres_release",
    "devres_release_all",
    "devres_release_group",
    "devres_remove",
    "devres_remove_group",
]
