"""``struct percpu_ref`` (``lib/percpu-refcount.c``): a reference count that costs nothing until it is killed.

While it lives every processor counts for itself; nobody knows the sum, so nobody sees it reach zero. Killing it drops the
first reference and, after a grace period, adds everything up; from then on the last put releases the object.
"""

from __future__ import annotations

from errno import ENOMEM
from typing import TYPE_CHECKING, ClassVar, Final

from kmock.kernel import preempt, wait
from kmock.kernel.wait import wait_queue_head_t
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.mm.percpu import Area
    from kmock.stack import Stack

PERCPU_REF_INIT_ATOMIC: Final = 1
PERCPU_REF_INIT_DEAD: Final = 2
PERCPU_REF_ALLOW_REINIT: Final = 4
_FILE: Final = "lib/percpu-refcount.c"
_KIND: Final = "percpu-ref-underflow"


class percpu_ref:
    """A count of references, until :func:`init` of nothing."""

    __slots__ = (
        "__weakref__",
        "allow_reinit",
        "area",
        "atomic",
        "confirm",
        "count",
        "dead",
        "force_atomic",
        "per_cpu",
        "release",
        "taken",
        "waiters",
    )
    C_SIZE: ClassVar[int] = 16

    def __init__(self) -> None:
        self.release: Callable[[percpu_ref], object] | None = None
        self.area: Area | None = None
        """The processors' counters, while there are any."""
        self.count = 0
        """References that no processor counts for itself."""
        self.per_cpu = 0
        """What all processors' counters add up to, which only this simulation knows."""
        self.atomic = self.dead = True
        self.force_atomic = self.allow_reinit = False
        self.confirm: Callable[[percpu_ref], object] | None = None
        """Called once every processor knows of the switch; set as long as one is under way."""
        self.taken: Stack = ()
        self.waiters = wait_queue_head_t("percpu_ref_switch_waitq")

    @property
    def counted(self) -> bool:
        """Whether the processors count for themselves."""
        return not self.atomic and not self.dead

    @property
    def name(self) -> str:
        """Name of the release function, for messages."""
        return getattr(self.release, "__name__", "release")


def init(k: Kernel, ref: percpu_ref, release: Callable[[percpu_ref], object], flags: int, gfp: int) -> int:
    """``percpu_ref_init()``: begin with one reference, or none for a dead one; 0, or -ENOMEM."""
    ref.area = k.percpu.alloc(k.layout.bits // 8, k.layout.bits // 8, gfp, "percpu_ref_init")
    if ref.area is None:
        return -ENOMEM
    ref.release = release
    ref.force_atomic = bool(flags & PERCPU_REF_INIT_ATOMIC)
    ref.dead = bool(flags & PERCPU_REF_INIT_DEAD)
    ref.atomic = ref.force_atomic or ref.dead
    ref.allow_reinit = ref.atomic or bool(flags & PERCPU_REF_ALLOW_REINIT)
    ref.count = int(not ref.dead)
    ref.per_cpu = 0
    ref.confirm = None
    return 0


def leave(k: Kernel, ref: percpu_ref) -> None:
    """``percpu_ref_exit()``: give the counters back."""
    if ref.area is not None:
        if ref.confirm is not None:
            k.warn("cleanup-order", f"{_FILE}:114", "__percpu_ref_exit", key=ref)
        k.percpu.free(ref.area)
        ref.area = None
    ref.atomic = ref.dead = True


def get(k: Kernel, ref: percpu_ref, n: int) -> None:
    """``percpu_ref_get_many()``."""
    ref.taken = capture(3)
    if ref.counted:
        ref.per_cpu += n
    else:
        ref.count += n


def tryget(k: Kernel, ref: percpu_ref, n: int, *, live: bool = False) -> bool:
    """``percpu_ref_tryget_many()``: take references unless none is left; with ``live`` not from a killed one either."""
    if not ref.counted and (not ref.count or (live and ref.dead)):
        return False
    get(k, ref, n)
    return True


def put(k: Kernel, ref: percpu_ref, n: int) -> None:
    """``percpu_ref_put_many()``: give references back; the last of a killed one releases the object."""
    k.rcu.read_lock()
    if ref.counted:
        ref.per_cpu -= n
        if ref.count + ref.per_cpu <= 0:
            _underflow(k, ref, ref.count + ref.per_cpu)
    else:
        left = ref.count - n
        ref.count = left
        if left < 0 and ref.confirm is None:
            _underflow(k, ref, left)
        elif not left and ref.release is not None and ref.confirm is None:
            ref.release(ref)
    k.rcu.read_unlock()


def _underflow(k: Kernel, ref: percpu_ref, left: int) -> None:
    stack = k.capture()
    k.report(
        _KIND,
        f"BUG: kmock: {_KIND} in {k.symbol(stack)}",
        lines=[f"percpu ref ({ref.name}) is {left}: the first reference is percpu_ref_kill()'s to drop"],
        stacks={"access": stack, "taken": ref.taken} if ref.taken else {"access": stack},
        key=(_KIND, ref),
    )


def kill(k: Kernel, ref: percpu_ref, confirm: Callable[[percpu_ref], object] | None) -> None:
    """``percpu_ref_kill_and_confirm()``: no more live references; drop the first, and add up what is left."""
    flags = _lock(k)
    if ref.dead:
        said = f"percpu_ref_kill_and_confirm called more than once on {ref.name}!"
        k.warn(_KIND, f"{_FILE}:389", "percpu_ref_kill_and_confirm", said, key=(ref, "kill"))
    was_counted = ref.counted
    ref.dead = True
    _to_atomic(k, ref, confirm, was_counted=was_counted)
    put(k, ref, 1)
    _unlock(k, flags)


def switch_to_atomic(k: Kernel, ref: percpu_ref, confirm: Callable[[percpu_ref], object] | None) -> None:
    """``percpu_ref_switch_to_atomic()``: count in one place, from the next grace period on."""
    flags = _lock(k)
    ref.force_atomic = True
    _to_atomic(k, ref, confirm, was_counted=ref.counted)
    _unlock(k, flags)


def switch_to_percpu(k: Kernel, ref: percpu_ref) -> None:
    """``percpu_ref_switch_to_percpu()``: let every processor count for itself again."""
    flags = _lock(k)
    ref.force_atomic = False
    if not ref.dead:
        _to_percpu(k, ref)
    _unlock(k, flags)


def resurrect(k: Kernel, ref: percpu_ref) -> None:
    """``percpu_ref_resurrect()``: bring a killed one back to life, with its first reference."""
    flags = _lock(k)
    if not ref.dead:
        k.warn(_KIND, f"{_FILE}:469", "percpu_ref_resurrect", key=(ref, "resurrect"))
    ref.dead = False
    get(k, ref, 1)
    if not ref.force_atomic:
        _to_percpu(k, ref)
    _unlock(k, flags)


def reinit(k: Kernel, ref: percpu_ref) -> None:
    """``percpu_ref_reinit()``: :func:`resurrect` one that has no references left."""
    if not is_zero(ref):
        k.warn(_KIND, f"{_FILE}:442", "percpu_ref_reinit", key=(ref, "reinit"))
    resurrect(k, ref)


def is_zero(ref: percpu_ref) -> bool:
    """``percpu_ref_is_zero()``: whether it is known that no reference is left."""
    return not ref.counted and not ref.count and not ref.per_cpu


def settle(k: Kernel, ref: percpu_ref) -> None:
    """Sleep until no switch is under way."""
    wait.wait_event(k, ref.waiters, lambda: ref.confirm is None)


def _to_atomic(
    k: Kernel, ref: percpu_ref, confirm: Callable[[percpu_ref], object] | None, *, was_counted: bool
) -> None:
    if not was_counted:
        if confirm is not None:
            confirm(ref)
        return
    ref.atomic = True
    ref.confirm = confirm or (lambda _ref: None)
    k.rcu.after_grace_period(lambda: _switched(k, ref))


def _switched(k: Kernel, ref: percpu_ref) -> None:
    """``percpu_ref_switch_to_atomic_rcu()``: all processors know; add their counters up."""
    with preempt.softirq(k):
        ref.count += ref.per_cpu
        ref.per_cpu = 0
        # The switch holds a reference of its own until it is confirmed.
        if ref.count + 1 <= 0:
            said = f"percpu ref ({ref.name}) <= 0 ({ref.count + 1}) after switching to atomic"
            k.warn(_KIND, f"{_FILE}:197", "percpu_ref_switch_to_atomic_rcu", said, key=(_KIND, ref))
        confirm, ref.confirm = ref.confirm, None
        if confirm is not None:
            confirm(ref)
        wait.wake(k, ref.waiters, exclusive=0)
        if not ref.allow_reinit:
            leave(k, ref)
            ref.atomic = True
        if not ref.count and ref.release is not None:
            ref.release(ref)


def _to_percpu(k: Kernel, ref: percpu_ref) -> None:
    if not ref.atomic:
        return
    if not ref.allow_reinit:
        k.warn(_KIND, f"{_FILE}:246", "__percpu_ref_switch_to_percpu", key=(ref, "percpu"))
        return
    ref.atomic = False


def _lock(k: Kernel) -> int:
    """Take ``percpu_ref_switch_lock``, as far as the one who holds it notices."""
    flags = preempt.local_irq_save(k)
    preempt.preempt_disable(k)
    return flags


def _unlock(k: Kernel, flags: int) -> None:
    preempt.preempt_enable(k)
    preempt.local_irq_restore(k, flags)
