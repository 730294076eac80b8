"""``<linux/interrupt.h>``: handlers of interrupt lines. A handler is called as ``handler(irq, dev_id)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel.irq import IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD, IRQF_ONESHOT, IRQF_SHARED
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.bottom_half import (
    local_bh_disable,
    local_bh_enable,
)
from kmock.linux.hardirq import (
    HARDIRQ_MASK,
    HARDIRQ_OFFSET,
    NMI_MASK,
    NMI_OFFSET,
    PREEMPT_MASK,
    PREEMPT_OFFSET,
    SOFTIRQ_DISABLE_OFFSET,
    SOFTIRQ_MASK,
    SOFTIRQ_OFFSET,
    hardirq_count,
    in_atomic,
    in_hardirq,
    in_interrupt,
    in_irq,
    in_nmi,
    in_serving_softirq,
    in_softirq,
    in_task,
    migrate_disable,
    migrate_enable,
    nmi_count,
    preempt_count,
    preempt_disable,
    preempt_enable,
    preempt_enable_no_resched,
    preemptible,
    softirq_count,
    synchronize_hardirq,
    synchronize_irq,
)
from kmock.linux.irqflags import (
    irqs_disabled,
    irqs_disabled_flags,
    local_irq_disable,
    local_irq_enable,
    local_irq_restore,
    local_irq_save,
    local_save_flags,
)

if TYPE_CHECKING:
    from kmock.machine import Kernel

IRQF_TRIGGER_NONE = 0x0
IRQF_TRIGGER_RISING = 0x1
IRQF_TRIGGER_FALLING = 0x2
IRQF_TRIGGER_HIGH = 0x4
IRQF_TRIGGER_LOW = 0x8
IRQF_PROBE_SHARED = 0x100
IRQF_NOBALANCING = 0x800
IRQF_NO_SUSPEND = 0x4000
IRQF_NO_THREAD = 0x10000
SA_INTERRUPT = 0x20000000
SA_SHIRQ = IRQF_SHARED


def IRQ_RETVAL(x: object) -> int:
    """IRQ_HANDLED if ``x``, else IRQ_NONE."""
    return IRQ_HANDLED if x else IRQ_NONE


@api(since="1.0", undo="free_irq", illegal=Where.INTERRUPT, fails=True)
def request_irq(k: Kernel, irq: int, handler: Any, flags: int, name: str, dev: Any) -> int:
    """Have ``handler`` called for line ``irq``: 0, -EINVAL or -EBUSY."""
    return k.irqs.request(irq, handler, None, flags, name, dev)


@api(since="2.6.30", undo="free_irq", illegal=Where.INTERRUPT, fails=True)
def request_threaded_irq(k: Kernel, irq: int, handler: Any, thread_fn: Any, flags: int, name: str, dev: Any) -> int:
    """``request_irq()`` with a thread that runs ``thread_fn`` when the handler returns IRQ_WAKE_THREAD."""
    return k.irqs.request(irq, handler, thread_fn, flags, name, dev)


@api(since="1.0", sleeps=Sleeps.ALWAYS)
def free_irq(k: Kernel, irq: int, dev_id: Any) -> str | None:
    """Take the handler of ``dev_id`` off line ``irq`` and wait for it: the name it had."""
    return k.irqs.free(irq, dev_id)


@api(since="1.0", sleeps=Sleeps.ALWAYS, undo="enable_irq")
def disable_irq(k: Kernel, irq: int) -> None:
    """Keep line ``irq`` quiet, and wait for its handlers; calls nest."""
    k.irqs.disable(irq)
    k.irqs.synchronize(irq)


@api(since="2.0", undo="enable_irq")
def disable_irq_nosync(k: Kernel, irq: int) -> None:
    """Keep line ``irq`` quiet; its handlers may still run."""
    k.irqs.disable(irq)


@api(since="1.0")
def enable_irq(k: Kernel, irq: int) -> None:
    """Undo one ``disable_irq()``; a line raised meanwhile is served."""
    k.irqs.enable(irq)


@api(since="3.19", undo="enable_irq")
def disable_hardirq(k: Kernel, irq: int) -> bool:
    """Keep line ``irq`` quiet, and wait for its hard handlers: whether none of its threads runs."""
    k.irqs.disable(irq)
    return not any(action.pending for action in k.irqs.actions(irq))


@api(since="2.6.35")
def irq_set_affinity(k: Kernel, irq: int, cpu: int) -> int:
    """Have line ``irq`` served on ``cpu``; C passes a mask."""
    return k.irqs.set_affinity(irq, cpu)


__getattr__ = header_getattr(
    __name__,
    {
        "tasklet_init", "tasklet_setup", "tasklet_schedule", "tasklet_hi_schedule", "tasklet_kill", "tasklet_disable",
        "tasklet_enable", "DECLARE_TASKLET", "raise_softirq", "open_softirq", "tasklet_struct", "devm_request_irq",
    },
)  # fmt: skip
__all__ = [
    "HARDIRQ_MASK",
    "HARDIRQ_OFFSET",
    "IRQF_NOBALANCING",
    "IRQF_NO_SUSPEND",
    "IRQF_NO_THREAD",
    "IRQF_ONESHOT",
    "IRQF_PROBE_SHARED",
    "IRQF_SHARED",
    "IRQF_TRIGGER_FALLING",
    "IRQF_TRIGGER_HIGH",
    "IRQF_TRIGGER_LOW",
    "IRQF_TRIGGER_NONE",
    "IRQF_TRIGGER_RISING",
    "IRQ_HANDLED",
    "IRQ_NONE",
    "IRQ_RETVAL",
    "IRQ_WAKE_THREAD",
    "NMI_MASK",
    "NMI_OFFSET",
    "PREEMPT_MASK",
    "PREEMPT_OFFSET",
    "SA_INTERRUPT",
    "SA_SHIRQ",
    "SOFTIRQ_DISABLE_OFFSET",
    "SOFTIRQ_MASK",
    "SOFTIRQ_OFFSET",
    "disable_hardirq",
    "disable_irq",
    "disable_irq_nosync",
    "enable_irq",
    "free_irq",
    "hardirq_count",
    "in_atomic",
    "in_hardirq",
    "in_interrupt",
    "in_irq",
    "in_nmi",
    "in_serving_softirq",
    "in_softirq",
    "in_task",
    "irq_set_affinity",
    "irqs_disabled",
    "irqs_disabled_flags",
    "local_bh_disable",
    "local_bh_enable",
    "local_irq_disable",
    "local_irq_enable",
    "local_irq_restore",
    "local_irq_save",
    "local_save_flags",
    "migrate_disable",
    "migrate_enable",
    "nmi_count",
    "preempt_count",
    "preempt_disable",
    "preempt_enable",
    "preempt_enable_no_resched",
    "preemptible",
    "request_irq",
    "request_threaded_irq",
    "softirq_count",
    "synchronize_hardirq",
    "synchronize_irq",
]
