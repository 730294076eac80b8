"""``<linux/kernel.h>``: the macros that every driver uses, and the small headers that it drags in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import preempt
from kmock.kernel.wait import driver_place
from kmock.lang.struct import container_of
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.align import ALIGN, ALIGN_DOWN, IS_ALIGNED, PTR_ALIGN
from kmock.linux.bug import BUG, BUG_ON, BUILD_BUG_ON, WARN, WARN_ON, WARN_ON_ONCE, WARN_ONCE, panic
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE, barrier, likely, unlikely
from kmock.linux.kstrtox import kstrtobool, kstrtoint, kstrtouint, kstrtoul, simple_strtol, simple_strtoul
from kmock.linux.limits import (
    INT_MAX,
    INT_MIN,
    LONG_MAX,
    LONG_MIN,
    S32_MAX,
    SIZE_MAX,
    U8_MAX,
    U16_MAX,
    U32_MAX,
    U64_MAX,
    UINT_MAX,
    ULLONG_MAX,
    ULONG_MAX,
)
from kmock.linux.math import (
    DIV_ROUND_CLOSEST,
    DIV_ROUND_UP,
    int_sqrt,
    round_down,
    round_up,
    rounddown,
    roundup,
)
from kmock.linux.minmax import clamp, clamp_t, clamp_val, max, max3, max_t, min, min3, min_not_zero, min_t, swap
from kmock.linux.printk import (
    KERN_ALERT,
    KERN_CRIT,
    KERN_DEBUG,
    KERN_EMERG,
    KERN_ERR,
    KERN_INFO,
    KERN_NOTICE,
    KERN_WARNING,
    dump_stack,
    pr_alert,
    pr_cont,
    pr_crit,
    pr_debug,
    pr_emerg,
    pr_err,
    pr_info,
    pr_notice,
    pr_warn,
    printk,
)
from kmock.linux.string import scnprintf, snprintf, sprintf

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.5.48", sleeps=Sleeps.ALWAYS)
def might_sleep(k: Kernel) -> None:
    """Say that what follows may sleep: reported where that is a mistake."""
    k.atomic_sleep.might_sleep(driver_place(k))


@api(since="2.6.9")
def might_sleep_if(k: Kernel, cond: object) -> None:
    """``might_sleep()`` if ``cond``."""
    if cond:
        k.atomic_sleep.might_sleep(driver_place(k))


@api(since="5.4", undo="non_block_end")
def non_block_start(k: Kernel) -> None:
    """From here on the task must not block."""
    preempt.non_block_start(k)


@api(since="5.4")
def non_block_end(k: Kernel) -> None:
    """Undo one ``non_block_start()``."""
    preempt.non_block_end(k)


def ARRAY_SIZE(array: Any) -> int:
    """The number of elements of an array member, a list or bytes."""
    return len(array)


def upper_32_bits(n: int) -> int:
    """Bits 32 to 63."""
    return int(n) >> 32 & 0xFFFF_FFFF


def lower_32_bits(n: int) -> int:
    """Bits 0 to 31."""
    return int(n) & 0xFFFF_FFFF


def upper_16_bits(n: int) -> int:
    """Bits 16 to 31."""
    return int(n) >> 16 & 0xFFFF


def lower_16_bits(n: int) -> int:
    """Bits 0 to 15."""
    return int(n) & 0xFFFF


__getattr__ = header_getattr(__name__)
__all__ = [
    "ALIGN",
    "ALIGN_DOWN",
    "ARRAY_SIZE",
    "BUG",
    "BUG_ON",
    "BUILD_BUG_ON",
    "DIV_ROUND_CLOSEST",
    "DIV_ROUND_UP",
    "INT_MAX",
    "INT_MIN",
    "IS_ALIGNED",
    "KERN_ALERT",
    "KERN_CRIT",
    "KERN_DEBUG",
    "KERN_EMERG",
    "KERN_ERR",
    "KERN_INFO",
    "KERN_NOTICE",
    "KERN_WARNING",
    "LONG_MAX",
    "LONG_MIN",
    "PTR_ALIGN",
    "READ_ONCE",
    "S32_MAX",
    "SIZE_MAX",
    "U8_MAX",
    "U16_MAX",
    "U32_MAX",
    "U64_MAX",
    "UINT_MAX",
    "ULLONG_MAX",
    "ULONG_MAX",
    "WARN",
    "WARN_ON",
    "WARN_ONCE",
    "WARN_ON_ONCE",
    "WRITE_ONCE",
    "barrier",
    "clamp",
    "clamp_t",
    "clamp_val",
    "container_of",
    "dump_stack",
    "int_sqrt",
    "kstrtobool",
    "kstrtoint",
    "kstrtouint",
    "kstrtoul",
    "likely",
    "lower_16_bits",
    "lower_32_bits",
    "max",
    "max3",
    "max_t",
    "might_sleep",
    "might_sleep_if",
    "min",
    "min3",
    "min_not_zero",
    "min_t",
    "non_block_end",
    "non_block_start",
    "panic",
    "pr_alert",
    "pr_cont",
    "pr_crit",
    "pr_debug",
    "pr_emerg",
    "pr_err",
    "pr_info",
    "pr_notice",
    "pr_warn",
    "printk",
    "round_down",
    "round_up",
    "rounddown",
    "roundup",
    "scnprintf",
    "simple_strtol",
    "simple_strtoul",
    "snprintf",
    "sprintf",
    "swap",
    "unlikely",
    "upper_16_bits",
    "upper_32_bits",
]
