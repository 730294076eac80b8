"""``<linux/interrupt.h>``: handlers of interrupt lines. A handler is called as ``handler(irq, dev_id)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel.irq import IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD, IRQF_ONESHOT, IRQF_SHARED
from kmock.kernel.softirq import (
    BLOCK_SOFTIRQ,
    HI_SOFTIRQ,
    HRTIMER_SOFTIRQ,
    NET_RX_SOFTIRQ,
    NET_TX_SOFTIRQ,
    TASKLET_SOFTIRQ,
    TIMER_SOFTIRQ,
)
from kmock.kernel.tasklet import TASKLET_STATE_RUN, TASKLET_STATE_SCHED, tasklet_struct
from kmock.lang.struct import container_of
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
    from collections.abc import Callable

    from kmock.drivers.core import device
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


@api(since="2.6.21", undo="devm_free_irq", illegal=Where.INTERRUPT, fails=True)
def devm_request_irq(k: Kernel, dev: device, irq: int, handler: Any, irqflags: int, devname: str, dev_id: Any) -> int:
    """:func:`request_irq` for as long as the driver is there; without a name the device's."""
    return k.managed.request_irq(dev, irq, handler, None, irqflags, devname, dev_id)


@api(since="2.6.31", undo="devm_free_irq", illegal=Where.INTERRUPT, fails=True)
def devm_request_threaded_irq(
    k: Kernel, dev: device, irq: int, handler: Any, thread_fn: Any, irqflags: int, devname: str, dev_id: Any
) -> int:
    """:func:`request_threaded_irq` for as long as the driver is there."""
    return k.managed.request_irq(dev, irq, handler, thread_fn, irqflags, devname, dev_id)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS)
def devm_free_irq(k: Kernel, dev: device, irq: int, dev_id: Any) -> None:
    """Take a managed handler off its line early."""
    k.managed.free_irq(dev, irq, dev_id)


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


# -- softirqs and tasklets ------------------------------------------------------------------------------


@api(since="2.3.43")
def open_softirq(k: Kernel, nr: int, action: Callable[[], object]) -> None:
    """Have softirq ``nr`` served by ``action()``."""
    k.softirqs.open(nr, action)


@api(since="2.3.43", illegal=Where.NMI)
def raise_softirq(k: Kernel, nr: int) -> None:
    """Have softirq ``nr`` served on this processor soon."""
    k.softirqs.raise_softirq(nr)


def DECLARE_TASKLET(name: str, callback: Callable[[Any], object], *data: Any) -> tasklet_struct:
    """Define a tasklet that calls ``callback(tasklet)``, or, given C's old third argument, ``callback(data)``."""
    return tasklet_struct(callback, data=data[0], gets_data=True) if data else tasklet_struct(callback)


def DECLARE_TASKLET_DISABLED(name: str, callback: Callable[[Any], object], *data: Any) -> tasklet_struct:
    """``DECLARE_TASKLET()`` of one that is disabled."""
    return tasklet_struct(callback, 1, data=data[0], gets_data=True) if data else tasklet_struct(callback, 1)


def DECLARE_TASKLET_OLD(name: str, func: Callable[[Any], object]) -> tasklet_struct:
    """Define a tasklet that calls ``func(0)``."""
    return tasklet_struct(func, data=0, gets_data=True)


def from_tasklet(type: Any, callback_tasklet: tasklet_struct, tasklet_fieldname: str) -> Any:
    """Return the structure that a tasklet is a member of; ``type`` is what C takes from the variable."""
    return container_of(callback_tasklet, type, tasklet_fieldname)


@api(since="5.9")
def tasklet_setup(k: Kernel, t: tasklet_struct, callback: Callable[[tasklet_struct], object]) -> None:
    """Initialise a tasklet that will call ``callback(t)``."""
    k.tasklets.setup(t, callback)


@api(since="2.3.43")
def tasklet_init(k: Kernel, t: tasklet_struct, func: Callable[[Any], object], data: Any) -> None:
    """Initialise a tasklet that will call ``func(data)``."""
    k.tasklets.setup(t, func, data=data, gets_data=True)


@api(since="2.3.43")
def tasklet_schedule(k: Kernel, t: tasklet_struct) -> None:
    """Have a tasklet run on this processor soon; once, if it is scheduled already."""
    k.tasklets.schedule(t)


@api(since="2.3.43")
def tasklet_hi_schedule(k: Kernel, t: tasklet_struct) -> None:
    """``tasklet_schedule()`` before everything else."""
    k.tasklets.schedule(t, HI_SOFTIRQ)


@api(since="2.3.43", undo="tasklet_enable")
def tasklet_disable_nosync(k: Kernel, t: tasklet_struct) -> None:
    """Keep a tasklet from running; calls nest."""
    k.tasklets.disable(t)


@api(since="2.3.43", undo="tasklet_enable")
def tasklet_disable(k: Kernel, t: tasklet_struct) -> None:
    """Keep a tasklet from running, and wait for it if it does; calls nest."""
    k.tasklets.disable(t)


@api(since="2.3.43")
def tasklet_enable(k: Kernel, t: tasklet_struct) -> None:
    """Undo one ``tasklet_disable()``; if it was scheduled meanwhile it runs."""
    k.tasklets.enable(t)


@api(since="2.3.43", sleeps=Sleeps.ALWAYS)
def tasklet_kill(k: Kernel, t: tasklet_struct) -> None:
    """Wait until a tasklet has run; nobody may schedule it any more."""
    k.tasklets.kill(t)


__getattr__ = header_getattr(__name__)
__all__ = [
    "BLOCK_SOFTIRQ",
    "DECLARE_TASKLET",
    "DECLARE_TASKLET_DISABLED",
    "DECLARE_TASKLET_OLD",
    "HARDIRQ_MASK",
    "HARDIRQ_OFFSET",
    "HI_SOFTIRQ",
    "HRTIMER_SOFTIRQ",
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
    "NET_RX_SOFTIRQ",
    "NET_TX_SOFTIRQ",
    "NMI_MASK",
    "NMI_OFFSET",
    "PREEMPT_MASK",
    "PREEMPT_OFFSET",
    "SA_INTERRUPT",
    "SA_SHIRQ",
    "SOFTIRQ_DISABLE_OFFSET",
    "SOFTIRQ_MASK",
    "SOFTIRQ_OFFSET",
    "TASKLET_SOFTIRQ",
    "TASKLET_STATE_RUN",
    "TASKLET_STATE_SCHED",
    "TIMER_SOFTIRQ",
    "devm_free_irq",
    "devm_request_irq",
    "devm_request_threaded_irq",
    "disable_hardirq",
    "disable_irq",
    "disable_irq_nosync",
    "enable_irq",
    "free_irq",
    "from_tasklet",
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
    "open_softirq",
    "preempt_count",
    "preempt_disable",
    "preempt_enable",
    "preempt_enable_no_resched",
    "preemptible",
    "raise_softirq",
    "request_irq",
    "request_threaded_irq",
    "softirq_count",
    "synchronize_hardirq",
    "synchronize_irq",
    "tasklet_disable",
    "tasklet_disable_nosync",
    "tasklet_enable",
    "tasklet_hi_schedule",
    "tasklet_init",
    "tasklet_kill",
    "tasklet_schedule",
    "tasklet_setup",
    "tasklet_struct",
]
