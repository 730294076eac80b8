"""``<linux/printk.h>``: the kernel log. ``printk(KERN_INFO "text")`` of C is ``printk(KERN_INFO + "text")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import loglevel
from kmock.kernel.bug import first_time
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.sanitizers.describe import hex_rows
from kmock.stack import user_frames

if TYPE_CHECKING:
    from kmock.machine import Kernel

KERN_SOH = "\x01"
KERN_EMERG = "\x010"
KERN_ALERT = "\x011"
KERN_CRIT = "\x012"
KERN_ERR = "\x013"
KERN_WARNING = "\x014"
KERN_NOTICE = "\x015"
KERN_INFO = "\x016"
KERN_DEBUG = "\x017"
KERN_DEFAULT = ""
KERN_CONT = "\x01c"

DUMP_PREFIX_NONE = 0
DUMP_PREFIX_ADDRESS = 1
DUMP_PREFIX_OFFSET = 2


@api(since="1.0")
def printk(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message; return its length."""
    return loglevel.printk(k, fmt, args)


@api(since="2.6.12")
def printk_ratelimit(k: Kernel) -> int:
    """Whether this line may log now: ten times in five seconds."""
    return int(loglevel.rate_limited(k))


@api(since="2.6.38")
def printk_once(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message the first time this line is reached."""
    if first_time(k):
        loglevel.printk(k, fmt, args)


@api(since="2.6.38")
def printk_ratelimited(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        loglevel.printk(k, fmt, args)


@api(since="2.6.31")
def pr_cont(k: Kernel, fmt: str, *args: Any) -> int:
    """Go on with the line logged last."""
    return loglevel.printk(k, KERN_CONT + fmt, args)


@api(since="2.6.15")
def pr_debug(k: Kernel, fmt: str, *args: Any) -> int:
    """Log nothing: without DEBUG these messages are compiled out."""
    return 0


pr_devel = pr_debug
no_printk = pr_debug


@api(since="2.6.21")
def print_hex_dump(
    k: Kernel,
    level: str,
    prefix_str: str,
    prefix_type: int,
    rowsize: int,
    groupsize: int,
    buf: Any,
    len: int,
    ascii: bool,
) -> None:
    """Log ``len`` bytes at ``buf`` in hexadecimal, ``rowsize`` to a line."""
    for i, row in enumerate(hex_rows(int(buf), k.mem.load(buf, 0, len), rowsize)):
        address, _, text = row.partition(": ")
        shown = text if ascii else text[: rowsize * 3 - 1].rstrip()
        place = {DUMP_PREFIX_ADDRESS: f"{address}: ", DUMP_PREFIX_OFFSET: f"{i * rowsize:08x}: "}.get(prefix_type, "")
        k.log.write(f"{prefix_str}{place}{shown}")


@api(since="2.5.0")
def dump_stack(k: Kernel) -> None:
    """Log the call trace."""
    k.log.write("Call Trace:")
    k.log.write_all(f" {frame.symbol}" for frame in user_frames(k.capture()))


@api(since="2.6.24")
def pr_emerg(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message at level KERN_EMERG."""
    return loglevel.printk(k, KERN_EMERG + fmt, args)


@api(since="2.6.24")
def pr_alert(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message at level KERN_ALERT."""
    return loglevel.printk(k, KERN_ALERT + fmt, args)


@api(since="2.6.24")
def pr_crit(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message at level KERN_CRIT."""
    return loglevel.printk(k, KERN_CRIT + fmt, args)


@api(since="2.6.24")
def pr_err(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message at level KERN_ERR."""
    return loglevel.printk(k, KERN_ERR + fmt, args)


@api(since="2.6.24")
def pr_warn(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message at level KERN_WARNING."""
    return loglevel.printk(k, KERN_WARNING + fmt, args)


@api(since="2.6.24")
def pr_notice(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message at level KERN_NOTICE."""
    return loglevel.printk(k, KERN_NOTICE + fmt, args)


@api(since="2.6.24")
def pr_info(k: Kernel, fmt: str, *args: Any) -> int:
    """Log a message at level KERN_INFO."""
    return loglevel.printk(k, KERN_INFO + fmt, args)


@api(since="2.6.38")
def pr_err_once(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_ERR the first time this line is reached."""
    if first_time(k):
        loglevel.printk(k, KERN_ERR + fmt, args)


@api(since="2.6.38")
def pr_err_ratelimited(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_ERR, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        loglevel.printk(k, KERN_ERR + fmt, args)


@api(since="2.6.38")
def pr_warn_once(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_WARNING the first time this line is reached."""
    if first_time(k):
        loglevel.printk(k, KERN_WARNING + fmt, args)


@api(since="2.6.38")
def pr_warn_ratelimited(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_WARNING, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        loglevel.printk(k, KERN_WARNING + fmt, args)


@api(since="2.6.38")
def pr_notice_once(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_NOTICE the first time this line is reached."""
    if first_time(k):
        loglevel.printk(k, KERN_NOTICE + fmt, args)


@api(since="2.6.38")
def pr_notice_ratelimited(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_NOTICE, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        loglevel.printk(k, KERN_NOTICE + fmt, args)


@api(since="2.6.38")
def pr_info_once(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_INFO the first time this line is reached."""
    if first_time(k):
        loglevel.printk(k, KERN_INFO + fmt, args)


@api(since="2.6.38")
def pr_info_ratelimited(k: Kernel, fmt: str, *args: Any) -> None:
    """Log a message at level KERN_INFO, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        loglevel.printk(k, KERN_INFO + fmt, args)


pr_warning = pr_warn

__getattr__ = header_getattr(__name__)
__all__ = [
    "DUMP_PREFIX_ADDRESS",
    "DUMP_PREFIX_NONE",
    "DUMP_PREFIX_OFFSET",
    "KERN_ALERT",
    "KERN_CONT",
    "KERN_CRIT",
    "KERN_DEBUG",
    "KERN_DEFAULT",
    "KERN_EMERG",
    "KERN_ERR",
    "KERN_INFO",
    "KERN_NOTICE",
    "KERN_SOH",
    "KERN_WARNING",
    "dump_stack",
    "no_printk",
    "pr_alert",
    "pr_cont",
    "pr_crit",
    "pr_debug",
    "pr_devel",
    "pr_emerg",
    "pr_err",
    "pr_err_once",
    "pr_err_ratelimited",
    "pr_info",
    "pr_info_once",
    "pr_info_ratelimited",
    "pr_notice",
    "pr_notice_once",
    "pr_notice_ratelimited",
    "pr_warn",
    "pr_warn_once",
    "pr_warn_ratelimited",
    "pr_warning",
    "print_hex_dump",
    "printk",
    "printk_once",
    "printk_ratelimit",
    "printk_ratelimited",
]
