"""In which contexts the locks of a class are taken (``kernel/locking/lockdep_internals.h``).

Usage is a mask of eight bits, for hard and for soft interrupts: whether a lock was taken *in* such an interrupt, and
whether it was taken with them *on*. A lock with both can be asked for by an interrupt that came while it was held.
What readers do is told by the same bits, four up.
"""

from __future__ import annotations

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK, SOFTIRQ_OFFSET

IN_HARDIRQ = 0x01
ON_HARDIRQ = 0x02
IN_SOFTIRQ = 0x04
ON_SOFTIRQ = 0x08
READ = 4
"""How far up the readers' bits are."""
ALL_IN = 0x55
ALL_ON = 0xAA
WRITE = 0x0F
"""The bits of those who exclude all others."""
USED = 0x100
USED_READ = 0x200

# The order in which the kernel notes them, and looks for a clash.
_ORDER = tuple(bit << up for bit in (IN_HARDIRQ, IN_SOFTIRQ, ON_HARDIRQ, ON_SOFTIRQ) for up in (0, READ))
_NAMES = {IN_HARDIRQ: "IN-HARDIRQ", ON_HARDIRQ: "HARDIRQ-ON", IN_SOFTIRQ: "IN-SOFTIRQ", ON_SOFTIRQ: "SOFTIRQ-ON"}


def usage(count: int, irqs_off: bool, *, trylock: bool) -> int:
    """Return the bits for a lock that is taken by a writer where preempt_count is ``count``."""
    found = 0
    if not trylock:
        if count & (HARDIRQ_MASK | NMI_MASK):
            found |= IN_HARDIRQ
        if count & SOFTIRQ_OFFSET:
            found |= IN_SOFTIRQ
    if not irqs_off:
        found |= ON_HARDIRQ if count & SOFTIRQ_MASK else ON_HARDIRQ | ON_SOFTIRQ
    return found


def bits(mask: int) -> list[int]:
    """Return the single bits of ``mask``, in the kernel's order."""
    return [bit for bit in _ORDER if mask & bit]


def flipped(mask: int) -> int:
    """Turn *in* into *on* and back."""
    return (mask & ALL_IN) << 1 | (mask & ALL_ON) >> 1


def clashes(mask: int) -> int:
    """Return the bits that another lock must not have, if the two are taken one inside the other."""
    found = flipped(mask)
    return found | found >> READ & WRITE | (found & WRITE) << READ


def clash_of(safe: int, unsafe: int) -> tuple[int, int]:
    """Return the first pair of bits of two locks' usages that clash; the first lock is taken in interrupts."""
    return next(
        (bit, other)
        for bit in bits(safe & ALL_IN)
        for other in (writers(flipped(bit)), writers(flipped(bit)) << READ)
        if unsafe & other
    )


def writers(bit: int) -> int:
    """Return the writers' bit for a bit that may be the readers'."""
    return bit if bit & WRITE else bit >> READ


def name(bit: int) -> str:
    """``IN-HARDIRQ-W``."""
    return f"{_NAMES[writers(bit)]}-{'W' if bit & WRITE else 'R'}"


def state_name(bit: int) -> str:
    """``HARDIRQ``, or ``HARDIRQ-READ`` for a readers' bit."""
    kind = "HARDIRQ" if writers(bit) & (IN_HARDIRQ | ON_HARDIRQ) else "SOFTIRQ"
    return kind if bit & WRITE else kind + "-READ"


def letters(mask: int) -> str:
    """``+.+.``: how writers and readers use a class against hard and soft interrupts (``get_usage_chars()``)."""
    return "".join(
        ".+-?"[bool(mask & inside << 1) + 2 * bool(mask & inside)]
        for inside in (IN_HARDIRQ, IN_HARDIRQ << READ, IN_SOFTIRQ, IN_SOFTIRQ << READ)
    )
