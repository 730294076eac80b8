"""``<linux/string.h>``: copying, comparing and searching memory and C strings.

Every access is checked. A Python ``str`` or ``bytes`` may stand where C takes ``const char *``, a
``bytearray`` or ctypes object where it takes a local array. Functions that return a position return a
pointer, or NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.format import vsprintf
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.errno import E2BIG, EINVAL
from kmock.mm import util
from kmock.mm.zeroing import lint_memset
from kmock.sanitizers import string_checks as checks

if TYPE_CHECKING:
    from kmock.machine import Kernel

_subtract = int.__sub__


@api(since="1.0")
def memcpy(k: Kernel, to: Any, source: Any, n: int) -> Any:
    """Copy ``n`` bytes between areas that don't overlap; return ``to``."""
    if to.__class__ is Ptr and source.__class__ is Ptr:
        if to.bounds is not None:
            checks.check_member(k, to, n, "memcpy")
        if -n < _subtract(to, source) < n:
            checks.check_overlap(k, to, source, n, "memcpy")
        k.mem.copy(to, source, n)
        return to
    return _copy(k, to, source, n, "memcpy")


@api(since="1.0")
def memmove(k: Kernel, to: Any, source: Any, n: int) -> Any:
    """Copy ``n`` bytes between areas that may overlap; return ``to``."""
    return _copy(k, to, source, n, "memmove")


def _copy(k: Kernel, to: Any, source: Any, n: int, by: str) -> Any:
    if checks.python_bytes(to) is None:
        checks.check_member(k, as_ptr(to), n, by)
    if checks.python_bytes(source) is not None or checks.python_bytes(to) is not None:
        checks.store(k, to, checks.load(k, source, n))
        return to
    a, b = as_ptr(to), as_ptr(source)
    if by == "memcpy":
        checks.check_overlap(k, a, b, n, by)
    k.mem.copy(a, b, n)
    return to


@api(since="1.0")
def memset(k: Kernel, s: Any, c: int, count: int) -> Any:
    """Fill ``count`` bytes with ``c``; return ``s``."""
    if checks.python_bytes(s) is None:
        checks.check_member(k, as_ptr(s), count, "memset")
        if k.mem.lint and not c & 0xFF:
            lint_memset(k, s, count)
    checks.store(k, s, bytes([c & 0xFF]) * count)
    return s


@api(since="4.16")
def memset32(k: Kernel, s: Any, v: int, count: int) -> Any:
    """Fill ``count`` 32-bit words with ``v``; return ``s``."""
    checks.store(k, s, (v & 0xFFFF_FFFF).to_bytes(4, "little") * count)
    return s


@api(since="3.18")
def memzero_explicit(k: Kernel, s: Any, count: int) -> None:
    """Clear ``count`` bytes, even where nobody reads them again: for key material."""
    checks.store(k, s, bytes(count))


@api(since="1.0")
def memcmp(k: Kernel, cs: Any, ct: Any, count: int) -> int:
    """Compare ``count`` bytes: negative, 0 or positive."""
    return _difference(checks.load(k, cs, count), checks.load(k, ct, count))


def _difference(a: bytes, b: bytes) -> int:
    for x, y in zip(a, b, strict=False):
        if x != y:
            return x - y
    return 0


@api(since="1.0")
def memchr(k: Kernel, s: Any, c: int, n: int) -> Ptr:
    """Return where byte ``c`` is first found in ``n`` bytes, or NULL."""
    at = checks.load(k, s, n).find(_byte(c))
    return as_ptr(s) + at if at >= 0 else NULL


@api(since="3.1")
def memchr_inv(k: Kernel, start: Any, c: int, n: int) -> Ptr:
    """Return where the first byte other than ``c`` is in ``n`` bytes, or NULL."""
    data = checks.load(k, start, n)
    at = next((i for i, byte in enumerate(data) if byte != c & 0xFF), -1)
    return as_ptr(start) + at if at >= 0 else NULL


@api(since="1.0")
def strlen(k: Kernel, s: Any) -> int:
    """The length of a string without its NUL."""
    return len(checks.string(k, s))


@api(since="1.0")
def strnlen(k: Kernel, s: Any, count: int) -> int:
    """The length of a string without its NUL, at most ``count``."""
    return len(checks.string(k, s, count))


@api(since="1.0")
def strcpy(k: Kernel, dest: Any, src: Any) -> Any:
    """Copy a string with its NUL, however little room there is; return ``dest``."""
    checks.store_string(k, dest, checks.string(k, src) + b"\0", "strcpy")
    return dest


@api(since="1.0")
def strncpy(k: Kernel, dest: Any, src: Any, count: int) -> Any:
    """Copy up to ``count`` bytes and fill up with NULs: a longer string is left unterminated; return ``dest``."""
    checks.store_string(k, dest, checks.string(k, src, count).ljust(count, b"\0"), "strncpy")
    return dest


@api(since="2.6.0", replaced_by="strscpy")
def strlcpy(k: Kernel, dest: Any, src: Any, size: int) -> int:
    """Copy a string into ``size`` bytes, cut and terminated; return the length of ``src``."""
    text = checks.string(k, src)
    if size:
        checks.store_string(k, dest, text[: size - 1] + b"\0", "strlcpy")
    return len(text)


@api(since="4.3")
def strscpy(k: Kernel, dest: Any, src: Any, count: int) -> int:
    """Copy a string into ``count`` bytes, cut and terminated; return its length, or -E2BIG if it was cut."""
    if not count:
        return -E2BIG
    text = checks.string(k, src, count)
    checks.store_string(k, dest, text[: count - 1] + b"\0", "strscpy")
    return len(text) if len(text) < count else -E2BIG


@api(since="5.2")
def strscpy_pad(k: Kernel, dest: Any, src: Any, count: int) -> int:
    """``strscpy()`` that clears the rest, so that no old bytes leak with the buffer."""
    if not count:
        return -E2BIG
    text = checks.string(k, src, count)
    checks.store_string(k, dest, text[: count - 1].ljust(count, b"\0"), "strscpy_pad")
    return len(text) if len(text) < count else -E2BIG


@api(since="1.0")
def strcat(k: Kernel, dest: Any, src: Any) -> Any:
    """Append a string, however little room there is; return ``dest``."""
    here = len(checks.string(k, dest))
    checks.store_string(k, _at(dest, here), checks.string(k, src) + b"\0", "strcat")
    return dest


@api(since="1.0")
def strncat(k: Kernel, dest: Any, src: Any, count: int) -> Any:
    """Append at most ``count`` bytes of a string, and a NUL; return ``dest``."""
    here = len(checks.string(k, dest))
    checks.store_string(k, _at(dest, here), checks.string(k, src, count) + b"\0", "strncat")
    return dest


@api(since="2.6.0")
def strlcat(k: Kernel, dest: Any, src: Any, count: int) -> int:
    """Append a string into a buffer of ``count`` bytes, cut and terminated; return the length it wanted."""
    here = checks.string(k, dest, count)
    text = checks.string(k, src)
    if len(here) < count:
        checks.store_string(k, _at(dest, len(here)), text[: count - len(here) - 1] + b"\0", "strlcat")
    return len(here) + len(text)


@api(since="1.0")
def strcmp(k: Kernel, cs: Any, ct: Any) -> int:
    """Compare strings: negative, 0 or positive."""
    return _difference(checks.string(k, cs) + b"\0", checks.string(k, ct) + b"\0")


@api(since="1.0")
def strncmp(k: Kernel, cs: Any, ct: Any, count: int) -> int:
    """Compare at most ``count`` bytes of strings: negative, 0 or positive."""
    a, b = checks.string(k, cs, count) + b"\0", checks.string(k, ct, count) + b"\0"
    return _difference(a[:count], b[:count])


@api(since="2.6.22")
def strcasecmp(k: Kernel, s1: Any, s2: Any) -> int:
    """Compare strings, upper case being lower case: negative, 0 or positive."""
    return _difference(checks.string(k, s1).lower() + b"\0", checks.string(k, s2).lower() + b"\0")


@api(since="1.0")
def strchr(k: Kernel, s: Any, c: int | str) -> Ptr:
    """Return where ``c`` is first found in a string, its NUL included, or NULL."""
    at = (checks.string(k, s) + b"\0").find(_byte(c))
    return as_ptr(s) + at if at >= 0 else NULL


@api(since="1.0")
def strrchr(k: Kernel, s: Any, c: int | str) -> Ptr:
    """Return where ``c`` is last found in a string, its NUL included, or NULL."""
    at = (checks.string(k, s) + b"\0").rfind(_byte(c))
    return as_ptr(s) + at if at >= 0 else NULL


@api(since="1.0")
def strstr(k: Kernel, s1: Any, s2: Any) -> Ptr:
    """Return where the string ``s2`` is first found in ``s1``, or NULL."""
    at = checks.string(k, s1).find(checks.string(k, s2))
    return as_ptr(s1) + at if at >= 0 else NULL


@api(since="2.6.12")
def snprintf(k: Kernel, buf: Any, size: int, fmt: str, *args: Any) -> int:
    """Print into ``size`` bytes, cut and terminated; return the length it wanted."""
    return _print(k, buf, size, vsprintf(k, fmt, args), "snprintf")


@api(since="2.6.12")
def scnprintf(k: Kernel, buf: Any, size: int, fmt: str, *args: Any) -> int:
    """Print into ``size`` bytes, cut and terminated; return the length it wrote."""
    wanted = _print(k, buf, size, vsprintf(k, fmt, args), "scnprintf")
    return min(wanted, max(size - 1, 0))


@api(since="1.0")
def sprintf(k: Kernel, buf: Any, fmt: str, *args: Any) -> int:
    """Print, however little room there is; return the length."""
    return _print(k, buf, 1 << 30, vsprintf(k, fmt, args), "sprintf")


def _print(k: Kernel, buf: Any, size: int, text: str, by: str) -> int:
    data = text.encode("latin-1", "replace")
    if size:
        checks.store_string(k, buf, data[: size - 1] + b"\0", by)
    return len(data)


@api(since="2.6.33")
def strim(k: Kernel, s: Any) -> Ptr:
    """Cut white space from a string's end, in place; return where its text begins."""
    text = checks.string(k, s)
    kept = text.rstrip()
    if len(kept) < len(text):
        checks.store(k, as_ptr(s) + len(kept), b"\0")
    return as_ptr(s) + (len(kept) - len(kept.lstrip()))


@api(since="4.6")
def match_string(k: Kernel, array: list[Any], n: int, string: Any) -> int:
    """Return the index of a string in ``array``, or -EINVAL."""
    wanted = checks.string(k, string)
    found = (i for i, item in enumerate(array[:n]) if checks.string(k, item) == wanted)
    return next(found, -EINVAL)


@api(since="2.6.39")
def sysfs_streq(k: Kernel, s1: Any, s2: Any) -> bool:
    """Whether two strings are equal but for one newline at the end."""
    return checks.string(k, s1).removesuffix(b"\n") == checks.string(k, s2).removesuffix(b"\n")


@api(since="2.6.13", sleeps=Sleeps.GFP, undo="kfree", fails=True)
def kstrdup(k: Kernel, s: Any, gfp: int) -> Ptr:
    """Return a copy of a string; NULL of NULL, or without memory."""
    return util.kstrdup(k, s, gfp)


@api(since="2.6.23", sleeps=Sleeps.GFP, undo="kfree", fails=True)
def kstrndup(k: Kernel, s: Any, max: int, gfp: int) -> Ptr:
    """Return a copy of at most ``max`` bytes of a string."""
    return util.kstrndup(k, s, max, gfp)


@api(since="4.0", sleeps=Sleeps.GFP, undo="kfree_const", fails=True)
def kstrdup_const(k: Kernel, s: Any, gfp: int) -> Any:
    """Return a copy of a string, or the string itself where it is a literal."""
    return util.kstrdup_const(k, s, gfp)


@api(since="2.6.19", sleeps=Sleeps.GFP, undo="kfree", fails=True)
def kmemdup(k: Kernel, src: Any, len: int, gfp: int) -> Ptr:
    """Return a copy of ``len`` bytes, or NULL."""
    return util.kmemdup(k, src, len, gfp)


@api(since="4.13", sleeps=Sleeps.GFP, undo="kfree", fails=True)
def kmemdup_nul(k: Kernel, s: Any, len: int, gfp: int) -> Ptr:
    """Return a copy of ``len`` bytes with a NUL behind them."""
    return util.kmemdup_nul(k, s, len, gfp)


@api(since="2.6.30", sleeps=Sleeps.ALWAYS, undo="kfree", fails=True)
def memdup_user(k: Kernel, src: int, len: int) -> Ptr:
    """Return a copy of ``len`` bytes of user memory, ERR_PTR(-ENOMEM) or ERR_PTR(-EFAULT)."""
    return util.memdup_user(k, src, len)


@api(since="4.5", sleeps=Sleeps.ALWAYS, undo="kfree", fails=True)
def memdup_user_nul(k: Kernel, src: int, len: int) -> Ptr:
    """Return a copy of user memory with a NUL behind it, or an ERR_PTR."""
    return util.memdup_user_nul(k, src, len)


@api(since="4.16", sleeps=Sleeps.ALWAYS, undo="kvfree", fails=True)
def vmemdup_user(k: Kernel, src: int, len: int) -> Ptr:
    """Return a copy of user memory that kvfree() takes back, or an ERR_PTR."""
    return util.vmemdup_user(k, src, len)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="kfree", fails=True)
def strndup_user(k: Kernel, s: int, n: int) -> Ptr:
    """Return a copy of a user string of at most ``n`` bytes with its NUL, or an ERR_PTR."""
    return util.strndup_user(k, s, n)


def _byte(c: int | str) -> bytes:
    return c.encode("latin-1") if isinstance(c, str) else bytes([int(c) & 0xFF])


def _at(dest: Any, offset: int) -> Any:
    return memoryview(dest)[offset:] if isinstance(dest, bytearray) else as_ptr(dest) + offset


__getattr__ = header_getattr(__name__, {"strsep", "strspn", "strcspn", "strpbrk", "argv_split"})
__all__ = [
    "kmemdup",
    "kmemdup_nul",
    "kstrdup",
    "kstrdup_const",
    "kstrndup",
    "match_string",
    "memchr",
    "memchr_inv",
    "memcmp",
    "memcpy",
    "memdup_user",
    "memdup_user_nul",
    "memmove",
    "memset",
    "memset32",
    "memzero_explicit",
    "scnprintf",
    "snprintf",
    "sprintf",
    "strcasecmp",
    "strcat",
    "strchr",
    "strcmp",
    "strcpy",
    "strim",
    "strlcat",
    "strlcpy",
    "strlen",
    "strncat",
    "strncmp",
    "strncpy",
    "strndup_user",
    "strnlen",
    "strrchr",
    "strscpy",
    "strscpy_pad",
    "strstr",
    "sysfs_streq",
    "vmemdup_user",
]
