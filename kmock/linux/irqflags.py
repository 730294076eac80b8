"""``<linux/irqflags.h>``: interrupts off and on for this processor.

``flags`` come back: ``flags = local_irq_save()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import preempt
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.kernel.preempt import Flags
    from kmock.machine import Kernel


@api(since="2.5.28", undo="local_irq_enable")
def local_irq_disable(k: Kernel) -> None:
    """Turn this processor's interrupts off."""
    preempt.local_irq_disable(k)


@api(since="2.5.28")
def local_irq_enable(k: Kernel) -> None:
    """Turn this processor's interrupts on, whatever they were."""
    preempt.local_irq_enable(k)


@api(since="2.5.28", undo="local_irq_restore")
def local_irq_save(k: Kernel) -> Flags:
    """Turn this processor's interrupts off; the flags that were come back."""
    return preempt.local_irq_save(k)


@api(since="2.5.28")
def local_irq_restore(k: Kernel, flags: int) -> None:
    """Turn this processor's interrupts on or off, as ``flags`` say."""
    preempt.local_irq_restore(k, flags)


@api(since="2.5.28")
def local_save_flags(k: Kernel) -> Flags:
    """Return the flags, interrupts untouched."""
    return preempt.save_flags(k)


@api(since="2.5.28")
def irqs_disabled(k: Kernel) -> int:
    """Whether this processor's interrupts are off."""
    return int(k.cpu.irqs_off)


@api(since="2.6.18")
def irqs_disabled_flags(k: Kernel, flags: int) -> int:
    """Whether interrupts were off when ``flags`` were saved."""
    return int(not flags & preempt.X86_EFLAGS_IF)


__getattr__ = header_getattr(__name__)
__all__ = [
    "irqs_disabled",
    "irqs_disabled_flags",
    "local_irq_disable",
    "local_irq_enable",
    "local_irq_restore",
    "local_irq_save",
    "local_save_flags",
]
