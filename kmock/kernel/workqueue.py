"""Workqueues (``kernel/workqueue.c``): functions that run in process context, in worker threads.

A work item runs in a worker of its own, and items of one pool begin in the order in which they were queued:
what a pool of the kernel comes to, where another worker goes on when one sleeps. An item never runs twice
at a time: one that is queued while it runs begins after its end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from kmock.errors import KernelOops
from kmock.kernel.balance import check_work
from kmock.kernel.callbacks import Running, work_map
from kmock.kernel.hang import Wait
from kmock.kernel.task import PF_KTHREAD, PF_MEMALLOC, TASK_UNINTERRUPTIBLE, Task
from kmock.kernel.work import (
    UNBOUND,
    WQ_LEGACY,
    WQ_MEM_RECLAIM,
    WQ_ORDERED,
    WQ_UNBOUND,
    Pwq,
    Worker,
    WorkState,
    delayed_work,
    system_freezable_wq,
    system_highpri_wq,
    system_long_wq,
    system_power_efficient_wq,
    system_unbound_wq,
    system_wq,
    work_struct,
    workqueue_struct,
)
from kmock.sanitizers import debug_objects
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation

_DRAIN_TRIES = 10


class Workqueues:
    """The workqueues and workers of one machine."""

    __slots__ = ("_lists", "_waiters", "kernel", "made", "workers")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.made: dict[workqueue_struct, None] = {}
        """Workqueues that drivers made."""
        self.workers: dict[Task, Worker] = {}
        self._lists: dict[tuple[int, bool], deque[work_struct]] = {}
        """What is to be run, by pool."""
        self._waiters: list[Task] = []
        """Tasks that flush or drain something."""

    # -- items --------------------------------------------------------------------------------------

    def init(self, work: work_struct, func: Any, *, data: Any = None, gets_data: bool = False) -> None:
        """``INIT_WORK()``: an item that is queued must not be initialised."""
        k = self.kernel
        state = work.of(k)
        if state.pwq is not None:
            stacks = {"queued": state.queued_at}
            debug_objects.complain(k, "work-reinit-queued", "init active", "work_struct", state.func, work, stacks)
            self._take_back(work, state)
        state.func, state.data, state.gets_data = func, data, gets_data
        state.cancelled = False

    def init_delayed(self, delayed: delayed_work, func: Any) -> None:
        """``INIT_DELAYED_WORK()``."""
        k = self.kernel
        timer = delayed.timer.of(k)
        if timer.timeout is not None:
            stacks = {"queued": timer.armed_at}
            func_before = delayed.work.of(k).func
            debug_objects.complain(k, "work-reinit-queued", "init active", "timer_list", func_before, delayed, stacks)
            k.timers.delete(delayed.timer)
        self.init(delayed.work, func)

    def queue(self, wq: workqueue_struct, work: work_struct, cpu: int | None = None) -> bool:
        """``queue_work_on()``: False if it is pending already."""
        k = self.kernel
        state = work.of(k)
        if state.func is None:
            what = "activate not available"
            debug_objects.complain(k, "timer-uninit", what, "work_struct", None, work)
            return False
        if self.pending(work):
            return False
        state.queued_at = capture(3)
        self.insert(wq, work, cpu)
        return True

    def pending(self, work: work_struct) -> bool:
        """``work_pending()``: whether it is queued, or its timer runs, and it has not begun."""
        k = self.kernel
        if work.of(k).pwq is not None:
            return True
        return work.delayed is not None and work.delayed.timer.of(k).timeout is not None

    def insert(self, wq: workqueue_struct, work: work_struct, cpu: int | None = None) -> None:
        """``__queue_work()``."""
        k = self.kernel
        mine, state = wq.of(k), work.of(k)
        if mine.destroyed:
            self._destroyed(wq, "queued on it")
            return
        state.queued += 1
        number = UNBOUND if wq.flags & (WQ_UNBOUND | WQ_ORDERED) else (k.cpu.id if cpu is None else cpu)
        pwq = mine.pwqs.setdefault(number, Pwq(wq, number))
        state.pwq = pwq
        mine.in_flight[work] = None
        if state.worker is not None:
            state.again = True
        elif pwq.active >= wq.max_active:
            pwq.inactive.append(work)
        else:
            self._activate(pwq, work)

    def _activate(self, pwq: Pwq, work: work_struct) -> None:
        pwq.active += 1
        self._lists.setdefault(pwq.pool, deque()).append(work)
        self._create_worker(pwq.pool)

    # -- delayed items ------------------------------------------------------------------------------

    def queue_delayed(
        self, wq: workqueue_struct, delayed: delayed_work, delay: int, cpu: int | None = None, *, modify: bool = False
    ) -> bool:
        """``queue_delayed_work_on()``, and ``mod_delayed_work_on()``: whether it was pending already, or not."""
        k = self.kernel
        was = self.pending(delayed.work)
        if was and not modify:
            return False
        if was:
            self._take_back(delayed.work, delayed.work.of(k))
        delayed.wq, delayed.cpu = wq, cpu
        if not delay or delayed.work.of(k).func is None:
            self.queue(wq, delayed.work, cpu)
        else:
            wq.of(k).delayed[delayed] = None
            delayed.work.of(k).queued_at = capture(3)
            k.timers.mod(delayed.timer, k.clock.jiffies + delay, cpu=cpu)
        return was if modify else True

    def flush_delayed(self, delayed: delayed_work) -> bool:
        """``flush_delayed_work()``: have it run at once, if it waits for its time, and wait for it."""
        if self.kernel.timers.delete(delayed.timer):
            assert delayed.wq is not None
            self.insert(delayed.wq, delayed.work, delayed.cpu)
        return self.flush(delayed.work)

    # -- waiting ------------------------------------------------------------------------------------

    def flush(self, work: work_struct, *, cancelling: bool = False) -> bool:
        """``flush_work()``: wait until what is queued of it now is over; False if that was nothing."""
        k = self.kernel
        state = work.of(k)
        if state.func is None and not cancelling:
            k.warn("timer-uninit", "kernel/workqueue.c:3073", "__flush_work", key=work)
            return False
        self._may_wait(3017)
        name = debug_objects.name(state.func)
        if state.worker is None or state.worker.task is not k.current:
            k.lockdep.enter(work_map(k, state.func))
        if state.done == state.queued:
            return False
        if state.worker is not None and state.worker.task is k.current:
            self._flushes_itself(f"(work_completion)(&{name})", work)
            return False
        pwq = state.pwq or (state.worker.pwq if state.worker is not None else None)
        if pwq is not None and not cancelling:
            self._check_dependency(pwq.wq, name)
            if pwq.wq.max_active == 1 or pwq.wq.flags & WQ_MEM_RECLAIM:
                k.lockdep.enter(pwq.wq.of(k).map)
        until = state.queued
        self._wait(lambda: state.done >= until, f"for work {name}()")
        return True

    def flush_workqueue(self, wq: workqueue_struct) -> None:
        """``flush_workqueue()``: wait for all that is queued now."""
        k = self.kernel
        mine = wq.of(k)
        if mine.destroyed:
            self._destroyed(wq, "flushed")
            return
        self._may_wait(2816)
        worker = self.workers.get(k.current)
        if worker is not None and worker.pwq is not None and worker.pwq.wq is wq:
            self._flushes_itself(f"(wq_completion){wq.name}", wq)
            return
        k.lockdep.enter(mine.map)
        self._check_dependency(wq, "0x0")
        for work in list(mine.in_flight):
            state = work.of(k)
            until = state.queued
            self._wait(lambda: state.done >= until, f"for workqueue {wq.name}")  # noqa: B023 -- waits before the next

    def drain(self, wq: workqueue_struct) -> None:
        """``drain_workqueue()``: flush until nothing is queued any more; items that queue others may go on."""
        self.kernel.lockdep.enter(wq.of(self.kernel).map)
        tries = 0
        while wq.of(self.kernel).in_flight and tries < _DRAIN_TRIES:
            self.flush_workqueue(wq)
            tries += 1
        if tries == _DRAIN_TRIES:
            self.kernel.log.write(f"workqueue {wq.name}: drain_workqueue() isn't complete after {tries} tries")

    def cancel(self, work: work_struct, *, sync: bool) -> bool:
        """``cancel_work_sync()``, and without waiting ``cancel_work()``: whether it was pending."""
        state = work.of(self.kernel)
        was = self._take_back(work, state)
        if sync:
            self.flush(work, cancelling=True)
            state.cancelled = True
        return was

    def _take_back(self, work: work_struct, state: WorkState) -> bool:
        """``try_to_grab_pending()``."""
        if work.delayed is not None and self.kernel.timers.delete(work.delayed.timer):
            return True
        pwq = state.pwq
        if pwq is None:
            return False
        state.pwq = None
        state.again, waits = False, state.again
        del pwq.wq.of(self.kernel).in_flight[work]
        if state.worker is not None:
            pwq.wq.of(self.kernel).in_flight[work] = None
            state.queued -= 1
        elif not waits:
            state.done = state.queued
            if work in pwq.inactive:
                pwq.inactive.remove(work)
            else:
                self._lists[pwq.pool].remove(work)
                self._over(pwq)
        self._wake_waiters()
        return True

    def _may_wait(self, line: int) -> None:
        k = self.kernel
        k.atomic_sleep.might_sleep(f"kernel/workqueue.c:{line}")

    def _wait(self, over: Callable[[], bool], what: str) -> None:
        k = self.kernel
        task = k.current
        while not over():
            self._waiters.append(task)
            task.state = TASK_UNINTERRUPTIBLE
            try:
                k.sched.schedule(Wait(what))
            finally:
                self._waiters.remove(task)

    def _wake_waiters(self) -> None:
        for task in list(self._waiters):
            self.kernel.sched.wake(task)

    def _flushes_itself(self, lock: str, about: object) -> None:
        """The worker would wait for its own end; lockdep says so, and here it goes on."""
        k = self.kernel
        task = k.current
        function = "flush_workqueue" if isinstance(about, workqueue_struct) else "__flush_work"
        taken = f"{k.layout.page_offset:016x} ({lock}){{+.+.}}-{{0:0}}, at:"
        k.report(
            "work-flush-self",
            "WARNING: possible recursive locking detected",
            lines=[
                "--------------------------------------------",
                f"{task!r} is trying to acquire lock:",
                f"{taken} {function}+0x0/0x0",
                "but task is already holding lock:",
                f"{taken} process_one_work+0x0/0x0",
            ],
            key=("flush-self", about),
        )

    def _check_dependency(self, wq: workqueue_struct, target: str) -> None:
        """``check_flush_dependency()``: who helps to free memory must not wait for who may need it."""
        k = self.kernel
        if wq.flags & WQ_MEM_RECLAIM:
            return
        task = k.current
        worker = self.workers.get(task)
        if task.flags & PF_MEMALLOC:
            who, line = f"PF_MEMALLOC task {task.pid}({task.comm})", 2632
        elif (
            worker is not None
            and worker.pwq is not None
            and worker.pwq.wq.flags & (WQ_MEM_RECLAIM | WQ_LEGACY) == WQ_MEM_RECLAIM
        ):
            assert worker.work is not None
            who = f"WQ_MEM_RECLAIM {worker.pwq.wq.name}:{debug_objects.name(worker.work.of(k).func)}"
            line = 2635
        else:
            return
        message = f"workqueue: {who} is flushing !WQ_MEM_RECLAIM {wq.name}:{target}"
        k.warn("work-flush-reclaim", f"kernel/workqueue.c:{line}", "check_flush_dependency", message, key=wq)

    # -- workers ------------------------------------------------------------------------------------

    def _create_worker(self, pool: tuple[int, bool]) -> None:
        """``create_worker()``."""
        k = self.kernel
        cpu, high = pool
        taken = {worker.id for worker in self.workers.values()}
        number = next(n for n in range(len(taken) + 1) if (pool, n) not in taken)
        place = f"u{2 * len(k.cpus)}" if cpu == UNBOUND else str(cpu)
        task = Task(k.new_pid(), f"kworker/{place}:{number}{'H' * high}", PF_KTHREAD)
        if cpu != UNBOUND:
            task.cpu = k.cpus[cpu]
        worker = self.workers[task] = Worker(task, pool, number)
        k.sched.add(task, lambda: self._work(worker, pool))
        k.sched.wake(task)

    def _work(self, worker: Worker, pool: tuple[int, bool]) -> int:
        """``worker_thread()``, for one item."""
        try:
            waiting = self._lists[pool]
            if waiting:
                self._process(worker, waiting.popleft())
        finally:
            del self.workers[worker.task]
        return 0

    def _process(self, worker: Worker, work: work_struct) -> None:
        """``process_one_work()``."""
        state = work.of(self.kernel)
        pwq = state.pwq
        assert pwq is not None
        worker.work, worker.pwq, state.worker, state.pwq = work, pwq, worker, None
        now = state.queued
        func = state.func
        try:
            with Running(self.kernel, "process_one_work", pwq.wq.of(self.kernel).map, work_map(self.kernel, func)):
                func(state.data if state.gets_data else work)
            check_work(self.kernel, func)
        except KernelOops:
            # The kernel would have killed the worker; the report is made.
            check_work(self.kernel, func)
        finally:
            state.worker, state.done = None, now
            self._finished(pwq, work, state)

    def _finished(self, pwq: Pwq, work: work_struct, state: WorkState) -> None:
        if state.pwq is None:
            pwq.wq.of(self.kernel).in_flight.pop(work, None)
        elif state.again:
            state.again = False
            pwq.wq.of(self.kernel).in_flight.pop(work, None)
            state.pwq.wq.of(self.kernel).in_flight[work] = None
            state.pwq.inactive.append(work)
        self._over(pwq)
        if state.pwq is not None and state.pwq is not pwq:
            self._activate_next(state.pwq)
        self._wake_waiters()

    def _over(self, pwq: Pwq) -> None:
        pwq.active -= 1
        self._activate_next(pwq)

    def _activate_next(self, pwq: Pwq) -> None:
        while pwq.inactive and pwq.active < pwq.wq.max_active:
            self._activate(pwq, pwq.inactive.popleft())

    # -- workqueues ---------------------------------------------------------------------------------

    def create(self, name: str, flags: int, max_active: int) -> workqueue_struct:
        """``alloc_workqueue()``."""
        wq = workqueue_struct(name, flags, max_active)
        wq.of(self.kernel).created_at = capture(3)
        self.made[wq] = None
        return wq

    def destroy(self, wq: workqueue_struct) -> None:
        """``destroy_workqueue()``: after what is queued; nothing may be queued any more."""
        k = self.kernel
        mine = wq.of(k)
        if mine.destroyed:
            self._destroyed(wq, "destroyed again")
            return
        self.drain(wq)
        later = next((d for d in mine.delayed if d.wq is wq and d.timer.of(k).timeout is not None), None)
        busy = later.work if later is not None else next(iter(mine.in_flight), None)
        if busy is not None:
            state = busy.of(k)
            how = "waits for its time" if later is not None else "is still queued"
            lines = [
                f"destroy_workqueue: {wq.name} has the following busy pwq",
                f"work {debug_objects.name(state.func)}() {how}",
            ]
            stacks = {"access": k.capture(), "queued": state.queued_at}
            k.warn(
                "wq-destroy-busy", "kernel/workqueue.c:4451", "destroy_workqueue", lines=lines, stacks=stacks, key=wq
            )
        for delayed in mine.delayed:
            if delayed.wq is wq:
                k.timers.delete(delayed.timer)
        mine.destroyed = True
        del self.made[wq]

    def _destroyed(self, wq: workqueue_struct, how: str) -> None:
        k = self.kernel
        headline = f"BUG: kmock: slab-use-after-free in {k.symbol(k.capture())}"
        lines = [f"workqueue {wq.name} was destroyed before, and is {how}"]
        k.report("slab-use-after-free-read", headline, lines=lines, key=(wq, "destroyed"))

    def settle(self) -> None:
        """Let what is queued run as far as it gets without time going on."""
        if self.workers:
            self.kernel.sched.drain()

    # -- the end ------------------------------------------------------------------------------------

    def memory_freed(self, work: work_struct, allocation: Allocation | None) -> None:
        """The memory that ``work`` lies in is freed: it must not be queued, but its own function may free it."""
        state = work.of(self.kernel)
        if state.pwq is None:
            return
        kind = "work-requeue-after-cancel" if state.cancelled else "free-active-object"
        debug_objects.freed_active(self.kernel, allocation, kind, "work_struct", state.func, work, state.queued_at)
        self._take_back(work, state)

    def registrations(self) -> Iterator[Registration]:
        """The workqueues that drivers made, and the items that are queued or run."""
        k = self.kernel
        queues = [system_wq, system_highpri_wq, system_long_wq, system_unbound_wq, system_freezable_wq,
                  system_power_efficient_wq, *self.made]  # fmt: skip
        for wq in queues:
            mine = wq.of(k)
            if mine.created_at:
                yield Registration(f'workqueue "{wq.name}"', mine.created_at, "destroy_workqueue")
            waiting = [d.work for d in mine.delayed if d.wq is wq and d.timer.of(k).timeout is not None]
            for work in [*mine.in_flight, *waiting]:
                state = work.of(k)
                undo = "cancel_work_sync" if work.delayed is None else "cancel_delayed_work_sync"
                yield Registration(f"work {debug_objects.name(state.func)}()", state.queued_at, undo, "work-at-exit")
