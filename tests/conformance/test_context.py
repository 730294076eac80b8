"""Contexts, as recorded: what preempt_count says in each, what may sleep where, and what the kernel says if it does."""

from __future__ import annotations

import functools
from contextlib import contextmanager

from kmock.hw import cpu as masks
from kmock.kernel import balance
from kmock.linux import gfp
from kmock.linux.bottom_half import local_bh_disable, local_bh_enable
from kmock.linux.delay import msleep, usleep_range
from kmock.linux.gfp import (
    __GFP_DIRECT_RECLAIM,
    __GFP_NOFAIL,
    GFP_ATOMIC,
    GFP_DMA,
    GFP_KERNEL,
    GFP_NOFS,
    GFP_NOWAIT,
    alloc_page,
    gfpflags_allow_blocking,
)
from kmock.linux.gfp import (
    __free_page as free_one_page,
)
from kmock.linux.highmem import kmap_atomic, kmap_local_page, kunmap_atomic, kunmap_local
from kmock.linux.hrtimer import (
    CLOCK_MONOTONIC,
    HRTIMER_MODE_REL,
    HRTIMER_NORESTART,
    hrtimer,
    hrtimer_init,
    hrtimer_start,
    ms_to_ktime,
)
from kmock.linux.interrupt import (
    DECLARE_TASKLET,
    IRQ_HANDLED,
    IRQ_WAKE_THREAD,
    free_irq,
    request_irq,
    request_threaded_irq,
    tasklet_schedule,
)
from kmock.linux.io import ioremap, iounmap
from kmock.linux.irq_work import IRQ_WORK_INIT_HARD, irq_work_queue
from kmock.linux.irqflags import irqs_disabled, local_irq_disable, local_irq_enable
from kmock.linux.jiffies import jiffies
from kmock.linux.kernel import might_sleep, non_block_end, non_block_start
from kmock.linux.kthread import kthread_run
from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.percpu import (
    DEFINE_PER_CPU,
    alloc_percpu,
    alloc_percpu_gfp,
    free_percpu,
    get_cpu_var,
    put_cpu_var,
    this_cpu_ptr,
)
from kmock.linux.preempt import (
    in_atomic,
    in_hardirq,
    in_interrupt,
    in_nmi,
    in_serving_softirq,
    in_softirq,
    in_task,
    migrate_disable,
    migrate_enable,
    preempt_count,
    preempt_disable,
    preempt_enable,
    preemptible,
)
from kmock.linux.rcupdate import (
    call_rcu,
    rcu_barrier,
    rcu_head,
    rcu_preempt_depth,
    rcu_read_lock,
    rcu_read_lock_bh,
    rcu_read_lock_held,
    rcu_read_lock_sched,
    rcu_read_unlock,
    rcu_read_unlock_bh,
    rcu_read_unlock_sched,
    synchronize_rcu,
)
from kmock.linux.rwlock import DEFINE_RWLOCK, read_lock, read_unlock, write_lock, write_unlock
from kmock.linux.rwsem import DECLARE_RWSEM, down_read, up_read
from kmock.linux.sched import PF_KTHREAD, current, schedule
from kmock.linux.sched.mm import current_gfp_context, memalloc_noio_restore, memalloc_noio_save
from kmock.linux.semaphore import DEFINE_SEMAPHORE, down, down_trylock, up
from kmock.linux.slab import kfree, kmalloc, kmem_cache_create, kmem_cache_destroy, kvfree, kvmalloc
from kmock.linux.smp import get_cpu, put_cpu, raw_smp_processor_id, smp_processor_id
from kmock.linux.spinlock import (
    DEFINE_SPINLOCK,
    spin_lock,
    spin_lock_bh,
    spin_lock_irqsave,
    spin_trylock,
    spin_unlock,
    spin_unlock_bh,
    spin_unlock_irqrestore,
)
from kmock.linux.timer import DEFINE_TIMER, del_timer_sync, mod_timer
from kmock.linux.types import u8
from kmock.linux.uaccess import (
    copy_from_user,
    faulthandler_disabled,
    get_user,
    pagefault_disable,
    pagefault_disabled,
    pagefault_enable,
)
from kmock.linux.vmalloc import vfree, vm_map_ram, vm_unmap_ram, vmalloc
from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event, wake_up
from kmock.linux.workqueue import DECLARE_WORK, flush_work, schedule_work
from tests.conformance.replay import scenario

ONCE = "one atomic section is one mistake: what follows from it is attached to the first report"
COUNT = "the kernel forces preempt_count to zero and underflows later; here it stays balanced"
DIES = "the recording's process died of it; here its count is put right"
INTERRUPTED = "the recording interrupted a task or the idle loop that had preemption off already"


# -- contexts -----------------------------------------------------------------------------------------------


@contextmanager
def pair(enter, leave):
    enter()
    yield
    leave()


@contextmanager
def rw(take, release):
    lock = DEFINE_RWLOCK("cx_rwlock")
    take(lock)
    yield
    release(lock)


@contextmanager
def spinning(take=spin_lock, release=spin_unlock):
    lock = DEFINE_SPINLOCK("cx_lock")
    take(lock)
    yield
    release(lock)


@contextmanager
def irqsave():
    lock = DEFINE_SPINLOCK("cx_lock")
    flags = spin_lock_irqsave(lock)
    yield
    spin_unlock_irqrestore(lock, flags)


@contextmanager
def mutex_held():
    lock = DEFINE_MUTEX("cx_mutex")
    mutex_lock(lock)
    yield
    mutex_unlock(lock)


@contextmanager
def rwsem_read():
    sem = DECLARE_RWSEM("cx_rwsem")
    down_read(sem)
    yield
    up_read(sem)


@contextmanager
def mapped(kmap, kunmap):
    page = alloc_page(GFP_KERNEL)
    address = kmap(page)
    yield
    kunmap(address)
    free_one_page(page)


CONTEXTS = {
    "task": lambda k: pair(lambda: None, lambda: None),
    "irqoff": lambda k: pair(local_irq_disable, local_irq_enable),
    "bh": lambda k: pair(local_bh_disable, local_bh_enable),
    "non-block": lambda k: pair(non_block_start, non_block_end),
    "preempt": lambda k: pair(preempt_disable, preempt_enable),
    "preempt2": lambda k: pair(
        lambda: (preempt_disable(), preempt_disable()), lambda: (preempt_enable(), preempt_enable())
    ),
    "get-cpu": lambda k: pair(get_cpu, put_cpu),
    "rcu": lambda k: pair(rcu_read_lock, rcu_read_unlock),
    "rcu-bh": lambda k: pair(rcu_read_lock_bh, rcu_read_unlock_bh),
    "rcu-sched": lambda k: pair(rcu_read_lock_sched, rcu_read_unlock_sched),
    "rw-write": lambda k: rw(write_lock, write_unlock),
    "rw-read": lambda k: rw(read_lock, read_unlock),
    "spin": lambda k: spinning(),
    "spin-bh": lambda k: spinning(spin_lock_bh, spin_unlock_bh),
    "spin-irqsave": lambda k: irqsave(),
    "mutex": lambda k: mutex_held(),
    "rwsem-read": lambda k: rwsem_read(),
    "migrate": lambda k: pair(migrate_disable, migrate_enable),
    "pagefault": lambda k: pair(pagefault_disable, pagefault_enable),
    "kmap-local": lambda k: mapped(kmap_local_page, kunmap_local),
    "kmap-atomic": lambda k: mapped(kmap_atomic, kunmap_atomic),
    "hardirq": lambda k: k.hardirq(),
    "softirq": lambda k: k.softirq(),
    "nmi": lambda k: k.nmi(),
}


def in_kthread(k, body):
    kthread_run(lambda data: body(), None, "orc_kthread")
    k.run()


def in_tasklet(k, body):
    tasklet = DECLARE_TASKLET("orc", lambda tasklet: body())
    tasklet_schedule(tasklet)
    k.run()


def in_timer(k, body):
    timer = DEFINE_TIMER("orc", lambda timer: body())
    mod_timer(timer, jiffies() + 2)
    msleep(100)


def in_hrtimer(k, body):
    timer = hrtimer()
    hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL)

    def function(timer):
        body()
        return HRTIMER_NORESTART

    timer.function = function
    hrtimer_start(timer, ms_to_ktime(1), HRTIMER_MODE_REL)
    msleep(100)


def in_work(k, body):
    work = DECLARE_WORK("orc", lambda work: body())
    schedule_work(work)
    flush_work(work)


# -- preempt_count and the predicates -----------------------------------------------------------------------------


def truth(s, offset=0):
    """Read the predicates; ``offset`` is what the recording's harness added to preempt_count."""
    count = preempt_count()
    if "preempt_count" not in s.excepted:
        s.check("preempt_count", count + offset)
    for name, value in {
        "in_task": in_task(),
        "in_interrupt": bool(in_interrupt()),
        "in_softirq": bool(in_softirq()),
        "in_serving_softirq": bool(in_serving_softirq()),
        "in_hardirq": bool(in_hardirq()),
        "in_nmi": bool(in_nmi()),
        "in_atomic": in_atomic(),
        "irqs_disabled": irqs_disabled(),
        "preemptible": preemptible(),
        "rcu_preempt_depth": rcu_preempt_depth(),
        "pagefault_disabled": pagefault_disabled(),
        "rcu_read_lock_held": rcu_read_lock_held(),
        "is_kthread": bool(current().flags & PF_KTHREAD),
        "faulthandler_disabled": faulthandler_disabled(),
    }.items():
        if name in s.observed and name not in s.excepted:
            s.check(name, int(value))
    for mask in ("PREEMPT_MASK", "SOFTIRQ_MASK", "HARDIRQ_MASK", "NMI_MASK"):
        s.check(mask, getattr(masks, mask))
    for name, why in {
        "has_mm": "whether the recording's task had user memory says nothing of the context",
        "interrupted_task_is_idle": "the recording's harness interrupted a shell",
    }.items():
        if name in s.observed:
            s.except_(name, why)


@scenario(*(f"context.truth-{name}" for name in (
    "irqoff", "non-block", "preempt", "rcu", "rw-write", "rw-read", "spin", "spin-bh", "mutex", "rwsem-read",
    "migrate", "rcu-bh", "rcu-sched", "kmap-local",
)))  # fmt: skip
def truth_in_sections(k, s):
    with CONTEXTS[s.id.removeprefix("context.truth-")](k):
        truth(s)


@scenario("context.truth-tasklet")
def truth_in_a_tasklet(k, s):
    in_tasklet(k, lambda: truth(s))


@scenario("context.truth-timer")
def truth_in_a_timer(k, s):
    in_timer(k, lambda: truth(s))


@scenario("context.truth-hrtimer")
def truth_in_an_hrtimer(k, s):
    s.except_("preempt_count", INTERRUPTED)
    in_hrtimer(k, lambda: truth(s))


@scenario("context.truth-workqueue")
def truth_in_a_work_item(k, s):
    in_work(k, lambda: truth(s))


@scenario("context.truth-rcu-cb")
def truth_in_a_softirq_over_idle(k, s):
    s.except_("preempt_count", INTERRUPTED)
    head = rcu_head()
    call_rcu(head, lambda head: truth(s))
    rcu_barrier()


@scenario("context.truth-irq-handler")
def truth_in_a_handler(k, s):
    s.except_("preempt_count", INTERRUPTED)

    def handler(irq, dev):
        truth(s)
        return IRQ_HANDLED

    dev = object()
    request_irq(7, handler, 0, "orc", dev)
    k.raise_irq(7)
    free_irq(7, dev)


@scenario("context.truth-ipi")
def truth_in_an_ipi(k, s):
    for name in ("preempt_count", "in_softirq", "in_serving_softirq", "rcu_preempt_depth", "rcu_read_lock_held"):
        s.except_(name, "the recording interrupted a CPU that was serving a softirq, inside an RCU reader")
    with k.on_cpu(1), k.hardirq():
        truth(s)


@scenario("context.truth-nmi")
def truth_in_an_nmi(k, s):
    for name in ("preempt_count", "rcu_preempt_depth", "rcu_read_lock_held"):
        s.except_(name, INTERRUPTED + ", inside an RCU reader")
    with k.nmi():
        truth(s)


@scenario("context.truth-kthread")
def truth_in_a_thread(k, s):
    in_kthread(k, lambda: truth(s))


@scenario("context.truth-irq-thread")
def truth_in_an_irq_thread(k, s):
    with irq_thread(k, lambda: truth(s)):
        pass


@contextmanager
def irq_thread(k, body):
    def thread(irq, dev):
        body()
        return IRQ_HANDLED

    dev = object()
    request_threaded_irq(7, lambda irq, dev: IRQ_WAKE_THREAD, thread, 0, "orc", dev)
    k.raise_irq(7)
    k.run()
    yield
    free_irq(7, dev)


@scenario("context.preempt-count-nesting")
def nesting(k, s):
    first, second = DEFINE_SPINLOCK("cx_lock"), DEFINE_SPINLOCK("second")
    s.check("start", preempt_count())
    spin_lock(first)
    s.check("one_spinlock", preempt_count())
    spin_lock(second)
    s.check("two_spinlocks", preempt_count())
    preempt_disable()
    s.check("plus_preempt_disable", preempt_count())
    local_bh_disable()
    s.check("plus_local_bh_disable", preempt_count())
    local_bh_disable()
    s.check("plus_second_local_bh_disable", preempt_count())
    rcu_read_lock()
    s.check("plus_rcu_read_lock", preempt_count())
    rcu_read_unlock()
    local_bh_enable()
    local_bh_enable()
    preempt_enable()
    spin_unlock(second)
    spin_unlock(first)
    s.check("end", preempt_count())


@scenario("context.preempt-count-variants")
def variants(k, s):
    lock = DEFINE_SPINLOCK("cx_lock")
    spin_lock_bh(lock)
    s.check("spin_lock_bh", preempt_count())
    spin_unlock_bh(lock)
    flags = spin_lock_irqsave(lock)
    s.check("spin_lock_irqsave", preempt_count())
    s.check("spin_lock_irqsave_irqs_disabled", irqs_disabled())
    spin_unlock_irqrestore(lock, flags)
    for name, context in {
        "read_lock": "rw-read",
        "mutex_lock": "mutex",
        "pagefault_disable": "pagefault",
        "migrate_disable": "migrate",
        "local_irq_disable": "irqoff",
    }.items():
        with CONTEXTS[context](k):
            s.check(name, preempt_count())
    s.check("spin_trylock_returned", spin_trylock(lock))
    s.check("after_spin_trylock", preempt_count())
    s.check("second_spin_trylock_returned", spin_trylock(lock))
    s.check("after_failed_spin_trylock", preempt_count())
    spin_unlock(lock)


# -- might_sleep() ------------------------------------------------------------------------------------------------


@scenario(*(f"context.might-sleep-{name}" for name in (
    "bh", "irqoff", "non-block", "preempt", "preempt2", "rcu", "rw-write", "rw-read", "spin", "spin-bh", "pagefault",
    "get-cpu", "rcu-bh", "rcu-sched",
)))  # fmt: skip
def might_sleep_in_sections(k, s):
    with CONTEXTS[s.id.removeprefix("context.might-sleep-")](k):
        might_sleep()


@scenario("context.might-sleep-tasklet")
def might_sleep_in_a_tasklet(k, s):
    in_tasklet(k, might_sleep)


@scenario("context.might-sleep-timer")
def might_sleep_in_a_timer(k, s):
    in_timer(k, might_sleep)


@scenario("context.might-sleep-hrtimer")
def might_sleep_in_an_hrtimer(k, s):
    in_hrtimer(k, might_sleep)


@scenario("context.might-sleep-rcu-cb")
def might_sleep_in_a_callback(k, s):
    call_rcu(rcu_head(), lambda head: might_sleep())
    rcu_barrier()


@scenario("context.might-sleep-irq-handler", "context.might-sleep-ipi")
def might_sleep_in_a_handler(k, s):
    def handler(irq, dev):
        might_sleep()
        return IRQ_HANDLED

    dev = object()
    request_irq(7, handler, 0, "orc", dev)
    k.raise_irq(7)
    free_irq(7, dev)


@scenario("context.might-sleep-kthread")
def might_sleep_in_a_thread(k, s):
    in_kthread(k, might_sleep)


@scenario("context.might-sleep-irq-thread")
def might_sleep_in_an_irq_thread(k, s):
    with irq_thread(k, might_sleep):
        pass


@scenario("context.might-sleep-ratelimit")
def once_a_section(k, s):
    with spinning():
        might_sleep()
        might_sleep()
        kfree(kmalloc(64, GFP_KERNEL))


# -- every sleeping operation in every context --------------------------------------------------------------------


class Operations:
    """What the recording did in each context; each returns what it recorded of the result, if anything."""

    def __init__(self, k):
        self.mutex = DEFINE_MUTEX("op_mutex")
        self.queue = DECLARE_WAIT_QUEUE_HEAD("op_wq")
        self.user = k.user().buffer(b"abcd")
        self.b = kmalloc(4, GFP_KERNEL)
        self.pool = mempool_create_kmalloc_pool(2, 64)

    def kmalloc(self):
        return self._given(kmalloc(64, GFP_KERNEL), kfree)

    def kmalloc_atomic(self):
        return self._given(kmalloc(64, GFP_ATOMIC), kfree)

    def vmalloc(self):
        return self._given(vmalloc(4096), vfree)

    def alloc_page(self):
        return self._given(alloc_page(GFP_KERNEL), free_one_page)

    def alloc_page_atomic(self):
        return self._given(alloc_page(GFP_ATOMIC), free_one_page)

    @staticmethod
    def _given(p, give_back):
        name = "non-NULL" if p else "NULL"
        give_back(p)
        return name

    def mempool_alloc(self):
        return self._given(mempool_alloc(self.pool, GFP_KERNEL), lambda p: mempool_free(p, self.pool))

    def mutex_lock(self):
        mutex_lock(self.mutex)
        mutex_unlock(self.mutex)

    def msleep(self):
        msleep(10)

    def usleep_range(self):
        usleep_range(1000, 2000)

    def copy_from_user(self):
        return copy_from_user(self.b, self.user, 4)

    def wait_event(self):
        wait_event(self.queue, 1)

    def schedule(self):
        schedule()

    def wake_up(self):
        wake_up(self.queue)

    def synchronize_rcu(self):
        synchronize_rcu()


def said(k, before):
    """The headlines of what one operation made the kernel say, as the recording writes them down."""
    out = []
    for line in k.dmesg().splitlines()[before:]:
        text = line.partition("] ")[2]
        if text.startswith(("BUG: ", "[ BUG: ", "Voluntary context switch", "kernel BUG", "do not call")):
            out.append(text)
    return out


FOLLOWS = ("DEBUG_LOCKS_WARN_ON(val > preempt_count())", "segfault", "scheduling while atomic: sh/<pid>/0x0000fe01",
           "cgroup-defs.h:771")  # fmt: skip


@scenario(*(f"context.matrix-{name}" for name in (
    "irqoff", "kmap-atomic", "non-block", "preempt", "rcu", "spin-irqsave", "rw-read", "pagefault", "mutex", "task",
    "kmap-local", "kthread", "workqueue", "bh",
)), except_headlines=dict.fromkeys(FOLLOWS, COUNT) | {"atomic: sh/<pid>/0x00000201": "it is among the values"}, more_reports="what was said is among the values")  # fmt: skip
def matrix(k, s):
    name = s.id.removeprefix("context.matrix-")
    operations = Operations(k)
    if name in THREADS:
        s.except_("copy_from_user", "a kernel thread here has no user memory")
        s.except_("copy_from_user_returned", "a kernel thread here has no user memory")
    todo = [key for key in s.observed if hasattr(operations, key) and key not in s.excepted]
    # What the machine does not survive comes last.
    todo.sort(key=lambda key: "panic" in s.observed[key])

    def run():
        for operation in todo:
            one_cell(k, s, name, operations, operation)

    THREADS.get(name, lambda k, body: body())(k, run)


THREADS = {"kthread": in_kthread, "workqueue": in_work}
RUNNERS = {*THREADS, "tasklet"}


def one_cell(k, s, name, operations, operation):
    recorded = s.observed[operation]
    if "panic" in recorded:
        s.except_(operation, "the outcome says it")
    before = len(k.dmesg().splitlines())
    with CONTEXTS["task" if name in RUNNERS else name](k):
        result = getattr(operations, operation)()
    passed_over = [*FOLLOWS, *TASKLET] if name == "tasklet" else FOLLOWS
    wanted = [part for part in recorded.split(" || ") if not any(word in part for word in passed_over)]
    mine = [line for line in said(k, before) if not any(word in line for word in passed_over)]
    if (name, operation) in MISSED:
        assert mine
        mine = []
    s.check(operation, recorded if agrees(wanted, mine) else " || ".join(mine) or "silent")
    if f"{operation}_returned" in s.observed:
        s.check(f"{operation}_returned", result)


MISSED = {("irqoff", "msleep"), ("irqoff", "schedule")}

TASKLET = {
    "inconsistent lock state": "that GFP_KERNEL takes fs_reclaim in a softirq is the same mistake, and said once",
    "do not call blocking ops": "the recording's tasklet interrupted a task that was about to sleep",
    "stack frame pointer": "the recording's unwinder lost its way",
    "exited with 00000000?": COUNT,
    "lib/usercopy.c:15": "the second half of the same mistake",
    "[ BUG: Invalid wait context ]": "lockdep speaks once, and was off for some of the operations",
    "BUG: kmock: ": "the kernel has no words for it",
}


@scenario(
    "context.matrix-tasklet",
    except_headlines=TASKLET | {"atomic: sh/<pid>/0x00000101": "it is among the values"},
    more_reports="what was said is among the values",
)
def matrix_in_a_tasklet(k, s):
    operations = Operations(k)
    for key in s.observed:
        if key.startswith("mempool_alloc"):
            s.except_(key, "mempools are replayed with their own recordings")
    todo = [key for key in s.observed if hasattr(operations, key) and key not in s.excepted]
    for operation in sorted(todo, key=lambda key: "panic" in s.observed[key]):
        body = functools.partial(one_cell, k, s, "tasklet", operations, operation)
        with k.hardirq():
            # Served where the interrupt returns to, as in the recording.
            tasklet_schedule(DECLARE_TASKLET("orc", lambda tasklet, body=body: body()))


@scenario("context.irq-work-schedule", except_headlines={
    "DEBUG_LOCKS_WARN_ON(lockdep_hardirq_context())": "said of the scheduler's own turning interrupts on",
    "smp_processor_id() in preemptible": "the scheduler set the count to zero, in the middle of the interrupt",
})  # fmt: skip
def schedule_in_irq_work(k, s):
    irq_work_queue(IRQ_WORK_INIT_HARD(lambda work: schedule()))


def agrees(wanted, mine):
    from tests.conformance.normalise import pattern

    if wanted == ["silent"]:
        return not mine
    return len(wanted) == len(mine) and all(pattern(w).match(m) for w, m in zip(wanted, mine, strict=True))


SINGLE = {
    "bh-schedule": ("bh", "schedule"),
    "bh-msleep": ("bh", "msleep"),
    "bh-mutex-lock": ("bh", "mutex_lock"),
    "bh-copy-from-user": ("bh", "copy_from_user"),
    "bh-vmalloc": ("bh", "vmalloc"),
    "irqoff-vmalloc": ("irqoff", "vmalloc"),
    "irqoff-schedule": ("irqoff", "schedule"),
    "irqoff-msleep": ("irqoff", "msleep"),
    "irqoff-copy-from-user": ("irqoff", "copy_from_user"),
    "irq-work-mutex-lock": ("hardirq", "mutex_lock"),
    "irq-work-copy-from-user": ("hardirq", "copy_from_user"),
    "kmap-atomic-vmalloc": ("kmap-atomic", "vmalloc"),
    "non-block-schedule": ("non-block", "schedule"),
    "non-block-msleep": ("non-block", "msleep"),
    "non-block-mutex-lock": ("non-block", "mutex_lock"),
    "non-block-copy-from-user": ("non-block", "copy_from_user"),
    "preempt-vmalloc": ("preempt", "vmalloc"),
    "preempt-msleep": ("preempt", "msleep"),
    "preempt-mutex-lock": ("preempt", "mutex_lock"),
    "preempt-copy-from-user": ("preempt", "copy_from_user"),
    "rcu-schedule": ("rcu", "schedule"),
    "rcu-msleep": ("rcu", "msleep"),
    "rcu-copy-from-user": ("rcu", "copy_from_user"),
    "rw-write-vmalloc": ("rw-write", "vmalloc"),
    "rw-write-mutex-lock": ("rw-write", "mutex_lock"),
    "spin-kmalloc": ("spin", "kmalloc"),
    "spin-mutex-lock": ("spin", "mutex_lock"),
    "spin-copy-from-user": ("spin", "copy_from_user"),
    "spin-wait-event": ("spin", "wait_event"),
    "spin-schedule": ("spin", "schedule"),
    "spin-kmalloc-atomic": ("spin", "kmalloc_atomic"),
    "spin-alloc-page": ("spin", "alloc_page"),
    "spin-alloc-page-atomic": ("spin", "alloc_page_atomic"),
    "spin-wake-up": ("spin", "wake_up"),
    "spin-usleep-range": ("spin", "usleep_range"),
    "tasklet-vmalloc": ("softirq", "vmalloc"),
    "timer-vmalloc": ("softirq", "vmalloc"),
    "pagefault-vmalloc": ("pagefault", "vmalloc"),
    "pagefault-schedule": ("pagefault", "schedule"),
    "pagefault-msleep": ("pagefault", "msleep"),
    "pagefault-copy-from-user": ("pagefault", "copy_from_user"),
}


def single(k, s):
    context, operation = SINGLE[s.id.removeprefix("context.")]
    operations = Operations(k)
    with CONTEXTS[context](k):
        result = getattr(operations, operation)()
    if "returned" in s.observed:
        s.check("returned", result)


UNDERFLOWS = dict.fromkeys(FOLLOWS, COUNT)


@scenario(*(f"context.{name}" for name in SINGLE), except_headlines=UNDERFLOWS)
def single_operation(k, s):
    single(k, s)


@scenario("context.tasklet-copy-from-user")
def copy_in_a_softirq(k, s):
    operations = Operations(k)
    with k.softirq():
        s.check("returned", operations.copy_from_user())


@scenario("context.spin-down")
def down_under_a_spinlock(k, s):
    sem = DEFINE_SEMAPHORE("op_sem")
    with spinning():
        down(sem)
        up(sem)


@scenario("context.spin-down-trylock")
def down_trylock_under_a_spinlock(k, s):
    sem = DEFINE_SEMAPHORE("op_sem")
    with spinning():
        r = down_trylock(sem)
        s.check("returned", r)
        if not r:
            up(sem)


@scenario("context.spin-down-read")
def down_read_under_a_spinlock(k, s):
    sem = DECLARE_RWSEM("op_rwsem")
    with spinning():
        down_read(sem)
        up_read(sem)


@scenario("context.spin-get-user")
def get_user_under_a_spinlock(k, s):
    operations = Operations(k)
    with spinning():
        s.check("returned", get_user(operations.user, u8)[0])


@scenario("context.spin-synchronize-rcu", except_headlines={"BUG: scheduling while atomic": ONCE} | UNDERFLOWS)
def synchronize_under_a_spinlock(k, s):
    with spinning():
        synchronize_rcu()


@scenario("context.spin-kmem-cache-create")
def create_a_cache_under_a_spinlock(k, s):
    with spinning():
        c = kmem_cache_create("orc_op", 40, 0, 0, None)
        s.check("returned", "non-NULL" if c else "NULL")
        kmem_cache_destroy(c)


@scenario("context.spin-ioremap")
def spin_ioremap(k, s):
    with spinning():
        p = ioremap(0xFED00000, 4096)
        s.check("returned", p)
        iounmap(p)


@scenario("context.spin-request-irq")
def request_under_a_spinlock(k, s):
    with spinning():
        s.check("returned", request_irq(255, None, 0, "x", None))


# -- allocations ----------------------------------------------------------------------------------------------------


@scenario("context.kmalloc-zero-in-atomic")
def nothing_allocated(k, s):
    with spinning():
        kfree(kmalloc(0, GFP_KERNEL))


@scenario("context.gfp-dma-in-atomic-silent")
def gfp_dma(k, s):
    with spinning():
        p = kmalloc(64, GFP_DMA)
    s.check("returned", "non-NULL" if p else "NULL")
    kfree(p)


@scenario("context.gfp-atomic-plus-direct-reclaim")
def only_the_reclaim_bit_counts(k, s):
    with spinning():
        p = kmalloc(64, GFP_ATOMIC | __GFP_DIRECT_RECLAIM)
    kfree(p)


@scenario(
    "context.gfp-atomic-nofail",
    more_reports="NOFAIL without reclaim cannot be kept, which the kernel does not say of slabs",
)
def atomic_nofail(k, s):
    p = kmalloc(64, GFP_ATOMIC | __GFP_NOFAIL)
    s.check("returned", "non-NULL" if p else "NULL")
    kfree(p)


@scenario("context.gfp-allow-blocking")
def allow_blocking(k, s):
    for key in s.observed:
        expression = key.removeprefix("gfpflags_allow_blocking(").removesuffix(")")
        s.check(key, int(gfpflags_allow_blocking(eval(expression, vars(gfp)))))


@scenario("context.memalloc-noio-scope")
def noio_scope(k, s):
    for key in s.observed:
        if key.startswith(("GFP_", "__GFP_")):
            s.check(key, getattr(gfp, key))
    flags = "current->flags & (PF_MEMALLOC | PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS | PF_MEMALLOC_PIN)"
    scopes = 0x800 | 0x80000 | 0x40000 | 0x10000000
    s.check(flags, current().flags & scopes)
    a = memalloc_noio_save()
    s.check("a", a)
    s.check("flags_in_scope", current().flags & scopes)
    for name, mask in (("GFP_KERNEL", GFP_KERNEL), ("GFP_NOFS", GFP_NOFS), ("GFP_ATOMIC", GFP_ATOMIC),
                       ("GFP_NOWAIT", GFP_NOWAIT), ("GFP_HIGHUSER_MOVABLE", gfp.GFP_HIGHUSER_MOVABLE)):  # fmt: skip
        s.check(f"current_gfp_context({name})", current_gfp_context(mask))
    b = memalloc_noio_save()
    s.check("nested_save_returned", b)
    memalloc_noio_restore(b)
    s.check("after_inner_restore", current_gfp_context(GFP_KERNEL))
    memalloc_noio_restore(a)
    s.check("after_outer_restore", current_gfp_context(GFP_KERNEL))


@scenario("context.vfree-in-hardirq-deferred")
def vfree_in_a_hardirq(k, s):
    p = vmalloc(4096)
    with k.hardirq():
        vfree(p)


@scenario("context.spin-vm-map-ram")
def vm_map_ram_under_a_spinlock(k, s):
    page = alloc_page(GFP_KERNEL)
    with spinning():
        p = vm_map_ram([page], 1, -1)
        s.check("returned", p)
        vm_unmap_ram(p, 1)
    free_one_page(page)


@scenario("context.spin-kvmalloc")
def kvmalloc_under_a_spinlock(k, s):
    with spinning():
        p = kvmalloc(64, GFP_KERNEL)
        s.check("returned", p)
        kvfree(p)


# -- which processor ------------------------------------------------------------------------------------------------


@scenario("context.smp-processor-id-preemptible")
def processor_id_preemptible(k, s):
    s.check("cpu_in_range", int(smp_processor_id() < len(k.cpus)))


@scenario("context.smp-processor-id-ok")
def processor_id_pinned(k, s):
    s.check("get_cpu() < 4", int(get_cpu() < len(k.cpus)))
    put_cpu()
    s.check("raw_smp_processor_id() < 4", int(raw_smp_processor_id() < len(k.cpus)))


# -- what must be balanced ----------------------------------------------------------------------------------------


@scenario("context.preempt-enable-unbalanced")
def one_enable_too_many(k, s):
    preempt_enable()


@scenario("context.local-bh-enable-irqs-off")
def bh_enable_with_irqs_off(k, s):
    local_bh_disable()
    local_irq_disable()
    local_bh_enable()
    local_irq_enable()


@scenario("context.initcall-irq-leak", "context.initcall-preempt-leak")
def initcall_leaks(k, s):
    (local_irq_disable if "irq" in s.id else preempt_disable)()
    balance.check_initcall(k, "leaky_init+0x1/0x2 [leaky]")


@scenario("context.irqoff-leak-syscall")
def syscall_leaves_irqs_off(k, s):
    local_irq_disable()
    balance.check_syscall_exit(k, 1)


@scenario("context.preempt-leak-syscall", except_headlines={"segfault": DIES})
def syscall_leaves_preemption_off(k, s):
    preempt_disable()
    balance.check_syscall_exit(k, 1)


@scenario("context.mutex-leak-syscall")
def syscall_leaves_a_mutex(k, s):
    mutex_lock(DEFINE_MUTEX("op_mutex"))
    balance.check_syscall_exit(k, 1)


@scenario("context.spinlock-leak-syscall", except_headlines=dict.fromkeys(
    ("segfault", "cgroup-defs.h:771", "scheduling while atomic"), DIES))  # fmt: skip
def syscall_leaves_a_spinlock(k, s):
    spin_lock(DEFINE_SPINLOCK("cx_lock"))
    balance.check_syscall_exit(k, 1)


@scenario("context.semaphore-leak-syscall", fewer_reports="a semaphore may be given back by somebody else")
def syscall_leaves_a_semaphore(k, s):
    down(DEFINE_SEMAPHORE("op_sem"))
    balance.check_syscall_exit(k, 1)


@scenario("context.preempt-leak-kthread-exit")
def thread_leaves_preemption_off(k, s):
    def leak(data):
        preempt_disable()
        return 0

    kthread_run(leak, None, "orc_leak")
    msleep(300)


@scenario("context.preempt-leak-tasklet")
def tasklet_leaves_preemption_off(k, s):
    in_tasklet(k, preempt_disable)


@scenario("context.preempt-leak-timer")
def timer_leaves_preemption_off(k, s):
    in_timer(k, preempt_disable)


@scenario("context.preempt-leak-work")
def work_leaves_preemption_off(k, s):
    in_work(k, preempt_disable)


@scenario("context.irqoff-leak-work")
def work_leaves_irqs_off(k, s):
    in_work(k, local_irq_disable)


@scenario("context.spin-del-timer-sync")
def delete_a_timer_under_a_spinlock(k, s):
    timer = DEFINE_TIMER("op_timer", lambda timer: None)
    with spinning():
        s.check("returned", del_timer_sync(timer))


# -- per-CPU memory ---------------------------------------------------------------------------------------------------


@scenario("context.this-cpu-ptr-preemptible")
def this_copy_while_preemptible(k, s):
    this_cpu_ptr(DEFINE_PER_CPU(int, "pcv")).value += 1


@scenario("context.get-cpu-var-ok")
def get_and_put(k, s):
    variable = DEFINE_PER_CPU(int, "pcv")
    get_cpu_var(variable).value += 1
    put_cpu_var(variable)


def percpu_under_spinlock(s, allocate):
    lock = DEFINE_SPINLOCK("cx_lock")
    spin_lock(lock)
    p = allocate()
    s.check("returned", p)
    free_percpu(p)
    spin_unlock(lock)


@scenario("context.spin-alloc-percpu")
def alloc_percpu_under_spinlock(k, s):
    percpu_under_spinlock(s, lambda: alloc_percpu(int))


@scenario("context.spin-alloc-percpu-atomic")
def alloc_percpu_atomic_under_spinlock(k, s):
    percpu_under_spinlock(s, lambda: alloc_percpu_gfp(int, gfp.GFP_ATOMIC))


@scenario("context.spin-free-percpu")
def free_percpu_under_spinlock(k, s):
    p = alloc_percpu(int)
    lock = DEFINE_SPINLOCK("cx_lock")
    spin_lock(lock)
    free_percpu(p)
    spin_unlock(lock)


@scenario("context.spin-mempool-alloc-nowait")
def mempool_alloc_nowait_under_spinlock(k, s):
    pool = mempool_create_kmalloc_pool(2, 64)
    lock = DEFINE_SPINLOCK("s")
    spin_lock(lock)
    p = mempool_alloc(pool, gfp.GFP_NOWAIT)
    s.check("returned", p)
    mempool_free(p, pool)
    spin_unlock(lock)
    mempool_destroy(pool)
