"""``<linux/uaccess.h>``: copies between the kernel and the process it works for.

A ``__user`` pointer is an address of the process, as ``ioctl`` and ``read`` get it. The copying functions return
the number of bytes **not** copied. ``get_user`` gives C's out-parameter as a second value:

    err, value = get_user(Ptr(arg).u32)
    err = put_user(value, Ptr(arg).u32)

The width is that of the typed view, or of the type given beside a plain pointer; without either it is one byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.struct import sizeof
from kmock.lang.views import View
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.errno import EFAULT

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

VERIFY_READ = 0
VERIFY_WRITE = 1


def _place(ptr: Any, type: Any) -> tuple[int, int, bool]:
    """Return the address, the size and whether it is signed, of what a scalar access touches."""
    if isinstance(ptr, View):
        return ptr.base, ptr.size, ptr.signed
    if type is None:
        return ptr, 1, False
    if isinstance(type, int):
        return ptr, type, False
    return ptr, 4 if type is int else sizeof(type), type is int or bool(getattr(type, "signed", False))


# -- whole buffers --------------------------------------------------------------------------------------


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def copy_to_user(k: Kernel, to: int, from_: Any, n: int) -> int:
    """Copy ``n`` bytes to the process; return how many were not."""
    return k.uaccess.copy_to_user(to, from_, n)


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def copy_from_user(k: Kernel, to: Any, from_: int, n: int) -> int:
    """Copy ``n`` bytes from the process; return how many were not, which are zeroed in ``to``."""
    return k.uaccess.copy_from_user(to, from_, n)


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def __copy_to_user(k: Kernel, to: int, from_: Any, n: int) -> int:
    """:func:`copy_to_user` for a caller that has asked :func:`access_ok`."""
    return k.uaccess.unchecked_to_user(to, from_, n, may_fault=True)


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def __copy_from_user(k: Kernel, to: Any, from_: int, n: int) -> int:
    """:func:`copy_from_user` for a caller that has asked :func:`access_ok`; zeroes nothing."""
    return k.uaccess.unchecked_from_user(to, from_, n, may_fault=True)


@api(since="2.6.0", fails=True)
def __copy_to_user_inatomic(k: Kernel, to: int, from_: Any, n: int) -> int:
    """Copy what can be copied without a page fault; return how many bytes were not."""
    return k.uaccess.unchecked_to_user(to, from_, n, may_fault=False)


@api(since="2.6.0", fails=True)
def __copy_from_user_inatomic(k: Kernel, to: Any, from_: int, n: int) -> int:
    """Copy what can be copied without a page fault; return how many bytes were not."""
    return k.uaccess.unchecked_from_user(to, from_, n, may_fault=False)


@api(since="4.12", fails=True)
def raw_copy_to_user(k: Kernel, to: int, from_: Any, n: int) -> int:
    """The bare copy below all checks; return how many bytes were not copied."""
    return k.uaccess.unchecked_to_user(to, from_, n, may_fault=False)


@api(since="4.12", fails=True)
def raw_copy_from_user(k: Kernel, to: Any, from_: int, n: int) -> int:
    """The bare copy below all checks; return how many bytes were not copied."""
    return k.uaccess.unchecked_from_user(to, from_, n, may_fault=False)


@api(since="5.8", fails=True)
def copy_from_user_nofault(k: Kernel, dst: Any, src: int, size: int) -> int:
    """Copy without sleeping or faulting, in any context; 0, or -EFAULT."""
    return _nofault(k, lambda: k.uaccess.unchecked_from_user(dst, src, size, may_fault=False), src, size)


@api(since="5.8", fails=True)
def copy_to_user_nofault(k: Kernel, dst: int, src: Any, size: int) -> int:
    """Copy without sleeping or faulting, in any context; 0, or -EFAULT."""
    return _nofault(k, lambda: k.uaccess.unchecked_to_user(dst, src, size, may_fault=False), dst, size)


def _nofault(k: Kernel, copy: Any, address: int, size: int) -> int:
    if not 0 <= address <= k.layout.task_size - size:
        return -EFAULT
    task = k.current
    task.pagefault_disabled += 1
    try:
        return -EFAULT if copy() else 0
    finally:
        task.pagefault_disabled -= 1


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def clear_user(k: Kernel, to: int, n: int) -> int:
    """Zero ``n`` bytes of the process; return how many were not."""
    return k.uaccess.clear_user(to, n)


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def __clear_user(k: Kernel, to: int, n: int) -> int:
    """:func:`clear_user` for a caller that has asked :func:`access_ok`."""
    return k.uaccess.clear_user(to, n)


# -- scalars ------------------------------------------------------------------------------------------


@api(since="1.0", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def get_user(k: Kernel, ptr: Any, type: Any = None) -> tuple[int, int]:
    """Read a number of the process; return 0 or -EFAULT, and the number, 0 on a fault."""
    address, size, signed = _place(ptr, type)
    return k.uaccess.get(address, size, signed=signed)


@api(since="1.0", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def put_user(k: Kernel, x: int, ptr: Any, type: Any = None) -> int:
    """Store a number in the process; 0 or -EFAULT."""
    address, size, _ = _place(ptr, type)
    return k.uaccess.put(x, address, size)


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def __get_user(k: Kernel, ptr: Any, type: Any = None) -> tuple[int, int]:
    """:func:`get_user` for a caller that has asked :func:`access_ok`."""
    address, size, signed = _place(ptr, type)
    return k.uaccess.get(address, size, signed=signed, checked=False)


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def __put_user(k: Kernel, x: int, ptr: Any, type: Any = None) -> int:
    """:func:`put_user` for a caller that has asked :func:`access_ok`."""
    address, size, _ = _place(ptr, type)
    return k.uaccess.put(x, address, size, checked=False)


# -- strings ------------------------------------------------------------------------------------------


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def strncpy_from_user(k: Kernel, dst: Any, src: int, count: int) -> int:
    """Copy a string of at most ``count`` bytes; its length without the NUL, ``count`` if it has none, or -EFAULT."""
    return k.uaccess.strncpy_from_user(dst, src, count)


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, fails=True, sleeper="usercopy-atomic")
def strnlen_user(k: Kernel, str: int, n: int) -> int:
    """The length of a string with its NUL; more than ``n`` if it is longer, 0 if it can't be read."""
    return k.uaccess.strnlen_user(str, n)


# -- questions and scopes -----------------------------------------------------------------------------


@api(since="2.0")
def access_ok(k: Kernel, *args: int) -> bool:
    """``access_ok(addr, size)``, before 5.0 ``access_ok(type, addr, size)``: whether a process might have that range.

    Arithmetic only: nothing says that anything is mapped there.
    """
    address, size = args[-2:]
    return 0 <= address <= k.layout.task_size - size


@api(since="2.6.21")
def pagefault_disable(k: Kernel) -> None:
    """From here on a copy that would fault stops instead."""
    k.current.pagefault_disabled += 1


@api(since="2.6.21")
def pagefault_enable(k: Kernel) -> None:
    """Undo one :func:`pagefault_disable`."""
    k.current.pagefault_disabled -= 1


@api(since="4.0")
def pagefault_disabled(k: Kernel) -> bool:
    """Whether the running task has page faults off."""
    return k.current.pagefault_disabled > 0


@api(since="4.0")
def faulthandler_disabled(k: Kernel) -> bool:
    """Whether a page fault would not be handled here: page faults off, or execution atomic."""
    return k.current.pagefault_disabled > 0 or k.cpu.preempt_count > 0


__getattr__ = header_getattr(
    __name__,
    not_built={
        "check_zeroed_user",
        "copy_in_user",
        "copy_struct_from_user",
        "strncpy_from_user_nofault",
        "strnlen_user_nofault",
        "unsafe_copy_from_user",
        "unsafe_copy_to_user",
        "unsafe_get_user",
        "unsafe_put_user",
        "user_access_begin",
        "user_access_end",
    },
)
__all__ = [
    "VERIFY_READ",
    "VERIFY_WRITE",
    "__clear_user",
    "__copy_from_user",
    "__copy_from_user_inatomic",
    "__copy_to_user",
    "__copy_to_user_inatomic",
    "__get_user",
    "__put_user",
    "access_ok",
    "clear_user",
    "copy_from_user",
    "copy_from_user_nofault",
    "copy_to_user",
    "copy_to_user_nofault",
    "faulthandler_disabled",
    "get_user",
    "pagefault_disable",
    "pagefault_disabled",
    "pagefault_enable",
    "put_user",
    "raw_copy_from_user",
    "raw_copy_to_user",
    "strncpy_from_user",
    "strnlen_user",
]
