"""``<linux/err.h>``: an errno in a pointer. The top 4095 addresses are no memory but ``-errno``."""

from __future__ import annotations

from kmock.current import current
from kmock.lang.ptr import Ptr
from kmock.linux._header import header_getattr

MAX_ERRNO = 4095
_TOP = 1 << 64


def IS_ERR_VALUE(x: int) -> bool:
    """Whether ``x``, seen as an unsigned long, is an errno."""
    return int(x) % _TOP >= _TOP - MAX_ERRNO


def ERR_PTR(error: int) -> Ptr:
    """Return the pointer that stands for ``error``, a negative errno."""
    return Ptr(int(error) % _TOP)


def PTR_ERR(ptr: object) -> int:
    """Return ``ptr`` as a signed long, which is the negative errno in it; 0 for an object, which has none."""
    value = int(ptr) % _TOP if isinstance(ptr, int) else 0
    return value - _TOP if value >> 63 else value


def IS_ERR(ptr: object) -> bool:
    """Whether ``ptr`` is an errno. Kernel objects such as devices never are."""
    if not isinstance(ptr, int):
        return False
    if not ptr and isinstance(ptr, Ptr) and ptr.origin is not None:
        current.get().kasan.wrong_test(ptr.origin)
    return IS_ERR_VALUE(ptr)


def IS_ERR_OR_NULL(ptr: object) -> bool:
    """Whether ``ptr`` is an errno or NULL."""
    return ptr is None or (isinstance(ptr, int) and (not ptr or IS_ERR_VALUE(ptr)))


def ERR_CAST(ptr: Ptr) -> Ptr:
    """Return an errno pointer as a pointer of another type."""
    return ptr


def PTR_ERR_OR_ZERO(ptr: object) -> int:
    """Return the errno in ``ptr``, or 0 if it is a good pointer."""
    return PTR_ERR(ptr) if IS_ERR(ptr) else 0


__getattr__ = header_getattr(__name__)
__all__ = [
    "ERR_CAST",
    "ERR_PTR",
    "IS_ERR",
    "IS_ERR_OR_NULL",
    "IS_ERR_VALUE",
    "MAX_ERRNO",
    "PTR_ERR",
    "PTR_ERR_OR_ZERO",
]
