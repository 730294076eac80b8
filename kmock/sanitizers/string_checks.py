"""The string functions' memory accesses, and what is checked beside each byte: overlap, and where the target ends.

``lib/string.c`` is built without KASAN, so the kernel itself is silent about most of this; the write
across a struct's members is what ``include/linux/fortify-string.h`` warns about.

A Python string, bytes, bytearray or ctypes object may stand where C has a literal or a local array.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from kmock.lang.format import c_bytes
from kmock.lang.struct import as_ptr

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

_int = int.__int__


def python_bytes(x: Any) -> bytes | None:
    """Return the contents of a Python object that stands for C data; None if ``x`` is simulated memory."""
    if isinstance(x, str):
        return x.encode("latin-1") + b"\0"
    if isinstance(x, bytes):
        return x + b"\0"
    if isinstance(x, (bytearray, memoryview, ctypes.Structure, ctypes.Union, ctypes.Array)):
        return bytes(x)
    return None


def load(k: Kernel, source: Any, n: int) -> bytes:
    """Return the ``n`` bytes at ``source``."""
    data = python_bytes(source)
    if data is None:
        return k.mem.load(as_ptr(source), 0, n)
    if n > len(data):
        k.kasan.outside_python(len(data), n, write=False)
    return data[:n].ljust(n, b"\0")


def string(k: Kernel, source: Any, limit: int = 1 << 30) -> bytes:
    """Return the C string at ``source`` without its NUL, at most ``limit`` bytes of it."""
    data = python_bytes(source)
    if data is None:
        return c_bytes(k, as_ptr(source), limit)
    text, nul, _ = data.partition(b"\0")
    if not nul and limit > len(text):
        k.kasan.outside_python(len(data), len(data) + 1, write=False)
    return text[:limit]


def store(k: Kernel, to: Any, data: bytes) -> None:
    """Write ``data`` at ``to``."""
    if isinstance(to, (bytearray, memoryview, ctypes.Structure, ctypes.Union, ctypes.Array)):
        _store_python(k, to, data)
    else:
        k.mem.store(as_ptr(to), 0, data)


def _store_python(k: Kernel, to: Any, data: bytes) -> None:
    room = len(to) if isinstance(to, (bytearray, memoryview)) else ctypes.sizeof(to)
    if len(data) > room:
        k.kasan.outside_python(room, len(data), write=True)
        data = data[:room]
    if isinstance(to, (bytearray, memoryview)):
        to[: len(data)] = data
    else:
        ctypes.memmove(to, data, len(data))


def store_string(k: Kernel, to: Any, data: bytes, by: str) -> None:
    """Write ``data`` at ``to`` on behalf of the string function ``by``, which should have known where to stop."""
    if isinstance(to, (bytearray, memoryview, ctypes.Structure, ctypes.Union, ctypes.Array)):
        _store_python(k, to, data)
        return
    p = as_ptr(to)
    about = p.origin or k.mem.owner(p)
    if about is not None and about.live and about.addr <= _int(p) < about.end < _int(p) + len(data):
        k.kasan.string_overflow(p, len(data), about, by)
        k.mem.poke(p, data)
    else:
        check_member(k, p, len(data), by)
        k.mem.store(p, 0, data)


def check_member(k: Kernel, to: Ptr, n: int, by: str) -> None:
    """Report a write of ``n`` bytes that goes on beyond the struct member that ``to`` is the address of."""
    bounds = to.bounds
    if bounds is not None and _int(to) + n > bounds[1]:
        room = bounds[1] - _int(to)
        text = f"{by}: detected field-spanning write (size {n}) of single field (size {room})"
        k.kasan.member_overflow(to, n, write=True, member="", what=text, headline=text)


def check_overlap(k: Kernel, to: int, source: int, n: int, by: str) -> None:
    """Report a copy whose two ranges share bytes, which memcpy() may corrupt."""
    apart = abs(_int(to) - _int(source))
    if 0 < apart < n:
        symbol = k.symbol(k.capture())
        k.report(
            "memcpy-overlap",
            f"BUG: kmock: memcpy-overlap in {symbol}",
            lines=[f"{by}() of {n} bytes from {_int(source):#x} to {_int(to):#x}: {n - apart} bytes overlap"],
            attributes={"size": n, "overlap": n - apart},
        )
