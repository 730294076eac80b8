"""``<linux/kstrtox.h>``: numbers out of strings. The number comes back behind the error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.errno import EINVAL, ERANGE
from kmock.sanitizers import string_checks as checks

if TYPE_CHECKING:
    from kmock.machine import Kernel

_DIGITS = "0123456789abcdef"


def _parse(k: Kernel, s: Any, base: int, low: int, high: int) -> tuple[int, int]:
    text = checks.string(k, s).decode("latin-1").removesuffix("\n").lower()
    sign = text[:1] if text[:1] in {"-", "+"} else ""
    if sign == "-" and not low:
        return -EINVAL, 0
    base, digits = _base(text[len(sign) :], base)
    if not digits or any(c not in _DIGITS[:base] for c in digits):
        return -EINVAL, 0
    value = int(digits, base) * (-1 if sign == "-" else 1)
    return (0, value) if low <= value <= high else (-ERANGE, 0)


def _base(text: str, base: int) -> tuple[int, str]:
    """Return the base that ``text`` is in, and its digits without a prefix."""
    if base in {0, 16} and re.match("0x[0-9a-f]", text):
        return 16, text[2:]
    if base == 0:
        return (8, text) if text.startswith("0") and len(text) > 1 else (10, text)
    return base, text


@api(since="2.6.39")
def kstrtobool(k: Kernel, s: Any) -> tuple[int, bool]:
    """Return ``0`` and the truth that ``y``, ``1``, ``on`` or their opposites name, or ``-EINVAL`` and False."""
    text = checks.string(k, s)[:2].lower()
    if text[:1] in {b"y", b"t", b"1"} or text == b"on":
        return 0, True
    if text[:1] in {b"n", b"f", b"0"} or text == b"of":
        return 0, False
    return -EINVAL, False


@api(since="1.0")
def simple_strtoul(k: Kernel, cp: Any, base: int) -> tuple[int, int]:
    """Return the number that a string begins with, and how many characters it took (C's ``endp - cp``)."""
    text = checks.string(k, cp).decode("latin-1").lower()
    real, digits = _base(text, base)
    n = next((i for i, c in enumerate(digits) if c not in _DIGITS[:real]), len(digits))
    return (int(digits[:n], real), len(text) - len(digits) + n) if n else (0, 0)


@api(since="1.0")
def simple_strtol(k: Kernel, cp: Any, base: int) -> tuple[int, int]:
    """Return the signed number that a string begins with, and how many characters it took."""
    text = checks.string(k, cp)
    if text.startswith(b"-"):
        value, n = simple_strtoul(text[1:], base)
        return -value, n + 1
    value, n = simple_strtoul(text, base)
    return value, n


@api(since="2.6.39")
def kstrtoint(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and an int, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, -(1 << 31), (1 << 31) - 1)


@api(since="2.6.39")
def kstrtouint(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and an unsigned int, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, 0, (1 << 32) - 1)


@api(since="2.6.39")
def kstrtol(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and a long, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, -(1 << 63), (1 << 63) - 1)


@api(since="2.6.39")
def kstrtoul(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and an unsigned long, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, 0, (1 << 64) - 1)


@api(since="2.6.39")
def kstrtoll(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and a long long, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, -(1 << 63), (1 << 63) - 1)


@api(since="2.6.39")
def kstrtoull(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and an unsigned long long, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, 0, (1 << 64) - 1)


@api(since="2.6.39")
def kstrtou8(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and a u8, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, 0, (1 << 8) - 1)


@api(since="2.6.39")
def kstrtos8(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and an s8, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, -(1 << 7), (1 << 7) - 1)


@api(since="2.6.39")
def kstrtou16(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and a u16, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, 0, (1 << 16) - 1)


@api(since="2.6.39")
def kstrtos16(k: Kernel, s: Any, base: int) -> tuple[int, int]:
    """Return ``0`` and an s16, or ``-EINVAL`` or ``-ERANGE`` and 0."""
    return _parse(k, s, base, -(1 << 15), (1 << 15) - 1)


kstrtou32, kstrtos32, kstrtou64, kstrtos64 = kstrtouint, kstrtoint, kstrtoull, kstrtoll

__getattr__ = header_getattr(__name__)
__all__ = [
    "kstrtobool",
    "kstrtoint",
    "kstrtol",
    "kstrtoll",
    "kstrtos8",
    "kstrtos16",
    "kstrtos32",
    "kstrtos64",
    "kstrtou8",
    "kstrtou16",
    "kstrtou32",
    "kstrtou64",
    "kstrtouint",
    "kstrtoul",
    "kstrtoull",
    "simple_strtol",
    "simple_strtoul",
]
