"""printf formats as the kernel knows them (``lib/vsprintf.c``, ``Documentation/core-api/printk-formats.rst``)."""

from __future__ import annotations

import errno
import hashlib
import re
from typing import TYPE_CHECKING, Any

from kmock.lang.struct import as_ptr

if TYPE_CHECKING:
    from kmock.machine import Kernel

_MAX_ERRNO = 4095
_SPEC = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+|\*)?)?"
    r"(?P<length>hh|h|ll|l|L|z|Z|j|t)?(?P<conversion>p(?:[A-Z][a-zA-Z]*|[a-z]+)?|[diouxXcsn%])"
)
_BITS = {"hh": 8, "h": 16, "l": 64, "ll": 64, "L": 64, "z": 64, "Z": 64, "j": 64, "t": 64, None: 32}
# %p followed by other letters is a plain %p and text.
_POINTERS = re.compile(r"p(x|e|K|S[R]?|s|B|F|f|a[dp]?|Gg|GV|Gp|h[CDN]?|MF?|M|)")


def vsprintf(k: Kernel, fmt: str | bytes, args: tuple[Any, ...]) -> str:
    """Return ``fmt`` with ``args`` filled in, as the kernel would."""
    rest = iter(args)
    text = fmt.decode("latin-1") if isinstance(fmt, bytes) else str(fmt)
    return _SPEC.sub(lambda spec: _convert(k, spec, rest), text)


def _convert(k: Kernel, spec: re.Match[str], args: Any) -> str:
    conversion = spec["conversion"]
    if conversion == "%":
        return "%"
    width = int(next(args)) if spec["width"] == "*" else int(spec["width"] or 0)
    # A precision of nothing but a dot is 0.
    dot = "." in spec[0][: spec.start("length") - spec.start()] if spec["length"] else "." in spec[0]
    precision = int(next(args)) if spec["precision"] == "*" else int(spec["precision"] or 0) if dot else None
    value = next(args)
    flags = spec["flags"]
    if conversion[0] == "p":
        body = _pointer(k, conversion, value, width)
    elif conversion == "s":
        body = c_string(k, value)[:precision]
    elif conversion == "c":
        body = value if isinstance(value, str) else chr(int(value) & 0xFF)
    else:
        return _integer(int(value), conversion, flags, width, precision, _BITS[spec["length"]])
    return body.ljust(width) if "-" in flags else body.rjust(width)


def _integer(value: int, conversion: str, flags: str, width: int, precision: int | None, bits: int) -> str:
    value &= (1 << bits) - 1
    sign = ""
    if conversion in "di":
        if value >> bits - 1:
            value, sign = (1 << bits) - value, "-"
        else:
            sign = "+" if "+" in flags else " " if " " in flags else ""
    base = {"x": "x", "X": "X", "o": "o"}.get(conversion, "d")
    prefix = {"x": "0x", "X": "0X", "o": "0"}.get(conversion, "") if "#" in flags else ""
    digits = format(value, base)
    if precision is not None:
        digits = digits.rjust(precision, "0")
    elif "0" in flags and "-" not in flags:
        digits = digits.rjust(width - len(sign) - len(prefix), "0")
    body = sign + prefix + digits
    return body.ljust(width) if "-" in flags else body.rjust(width)


def _pointer(k: Kernel, conversion: str, value: Any, width: int) -> str:
    known = _POINTERS.match(conversion)
    kind = known[1] if known else ""
    tail = conversion[1 + len(kind) :]
    if kind == "Gg":
        return k.gfp_text(int(value)) + tail
    if kind in {"s", "S", "SR", "B", "F", "f"}:
        return symbol_of(value) + tail
    if kind.startswith("h"):
        return k.mem.load(value, 0, width).hex({"C": ":", "D": "-", "N": ""}.get(kind[1:], " ") or "")
    if kind.startswith("M"):
        return k.mem.load(value, 0, 6).hex(":") + tail
    if kind.startswith("a"):
        return f"{int(value):#018x}{tail}"
    address = 0 if value is None else int(as_ptr(value))
    signed = address - (1 << 64) if address >> 63 else address
    plain = address == 0 or -_MAX_ERRNO <= signed < 0
    if kind == "e" and plain and address:
        return f"-{errno.errorcode.get(-signed, str(-signed))}{tail}"
    return f"{address if kind == 'x' or plain else hashed(k, address):016x}{tail}"


def hashed(k: Kernel, address: int) -> int:
    """Return what ``%p`` shows of an address: 32 bits of a keyed hash (``ptr_to_hashval()``)."""
    key = k.config.seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2s(address.to_bytes(8, "little"), digest_size=4, key=key).digest(), "little")


def symbol_of(value: Any) -> str:
    """Return the name that ``%ps`` shows: a function's, or the address where it has none."""
    name = getattr(value, "__name__", None)
    return str(name) if name else f"{int(as_ptr(value)):#x}"


def c_string(k: Kernel, value: Any) -> str:
    """Return the text of a ``const char *``: a Python string, or bytes up to a NUL in simulated memory."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).partition(b"\0")[0].decode("latin-1")
    if value is None or not value:
        return "(null)"
    return c_bytes(k, as_ptr(value)).decode("latin-1")


def c_bytes(k: Kernel, p: int, limit: int = 1 << 30) -> bytes:
    """Return the bytes from ``p`` up to, and without, the first NUL, or ``limit`` of them."""
    found = bytearray()
    while len(found) < limit:
        byte = k.mem.load(p, len(found), 1)
        if byte == b"\0":
            break
        found += byte
    return bytes(found)
