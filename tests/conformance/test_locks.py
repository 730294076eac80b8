"""Locks, as recorded: what lockdep and the debug code of each lock say of their misuse, and where they are silent."""

from __future__ import annotations

from kmock.kernel import balance
from kmock.linux.completion import DECLARE_COMPLETION, complete, completion, init_completion, wait_for_completion
from kmock.linux.delay import msleep
from kmock.linux.irqflags import irqs_disabled, local_irq_disable, local_irq_enable
from kmock.linux.kthread import kthread_run
from kmock.linux.lockdep import (
    lockdep_assert_held,
    lockdep_assert_not_held,
    lockdep_off,
    lockdep_on,
    lockdep_set_novalidate_class,
    might_lock,
)
from kmock.linux.mutex import (
    DEFINE_MUTEX,
    mutex,
    mutex_destroy,
    mutex_init,
    mutex_is_locked,
    mutex_lock,
    mutex_trylock,
    mutex_unlock,
)
from kmock.linux.preempt import preempt_count, preempt_disable
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock, synchronize_rcu
from kmock.linux.rwlock import DEFINE_RWLOCK, read_lock, read_unlock, write_lock
from kmock.linux.rwsem import DECLARE_RWSEM, down_read, down_write, downgrade_write, up_read, up_write
from kmock.linux.sched import schedule_timeout_uninterruptible
from kmock.linux.slab import (
    GFP_KERNEL,
    free_page,
    get_zeroed_page,
    kfree,
    kmem_cache_create,
    kmem_cache_destroy,
    kzalloc,
)
from kmock.linux.spinlock import (
    DEFINE_RAW_SPINLOCK,
    DEFINE_SPINLOCK,
    raw_spin_lock,
    raw_spin_unlock,
    spin_lock,
    spin_lock_bh,
    spin_lock_init,
    spin_lock_irq,
    spin_lock_irqsave,
    spin_unlock,
    spin_unlock_bh,
    spin_unlock_irq,
    spin_unlock_irqrestore,
    spinlock_t,
)
from kmock.linux.types import Struct, sizeof
from kmock.linux.workqueue import DECLARE_WORK, flush_work, schedule_work
from tests.conformance.normalise import pattern
from tests.conformance.replay import scenario

EARLIER = "reported where the mistake is made, so that what follows from it is attached"
DIES = "the recording's process died of what follows"


class lobj(Struct):
    lock: spinlock_t
    m: mutex
    c: completion


def new():
    return lobj.at(kzalloc(sizeof(lobj), GFP_KERNEL))


def in_thread(k, body):
    kthread_run(lambda data: body(), None, "orc_other")
    k.run()


# -- silent -----------------------------------------------------------------------------------------------------


@scenario("context.lock-init-ok")
def lock_init_ok(k, s):
    o = new()
    spin_lock_init(o.lock)
    mutex_init(o.m)
    mutex_lock(o.m)
    spin_lock(o.lock)
    spin_unlock(o.lock)
    mutex_unlock(o.m)
    mutex_destroy(o.m)
    kfree(o)


@scenario("context.mutex-trylock-held")
def mutex_trylock_held(k, s):
    ma = DEFINE_MUTEX("ma")
    mutex_lock(ma)
    s.check("mutex_trylock(&ma)", mutex_trylock(ma))
    mutex_unlock(ma)


@scenario("context.unlock-order-free")
def unlock_order_free(k, s):
    x, y = DEFINE_SPINLOCK("x"), DEFINE_SPINLOCK("y")
    spin_lock(x)
    spin_lock(y)
    spin_unlock(x)
    spin_unlock(y)


@scenario("context.irq-safe-usage-ok")
def irq_safe_usage(k, s):
    x = DEFINE_SPINLOCK("x")
    with k.hardirq():
        spin_lock(x)
        spin_unlock(x)
    flags = spin_lock_irqsave(x)
    spin_unlock_irqrestore(x, flags)


@scenario("context.softirq-safe-usage-ok")
def softirq_safe_usage(k, s):
    x = DEFINE_SPINLOCK("x")
    with k.softirq():
        spin_lock(x)
        spin_unlock(x)
    spin_lock_bh(x)
    spin_unlock_bh(x)


@scenario("context.lockdep-assert-held-ok")
def assert_held_ok(k, s):
    ma = DEFINE_MUTEX("ma")
    mutex_lock(ma)
    lockdep_assert_held(ma)
    mutex_unlock(ma)
    lockdep_assert_not_held(ma)


@scenario("context.spinlock-in-raw-spinlock")
def spinlock_in_raw_spinlock(k, s):
    lraw, la = DEFINE_RAW_SPINLOCK("lraw"), DEFINE_SPINLOCK("la")
    raw_spin_lock(lraw)
    spin_lock(la)
    spin_unlock(la)
    raw_spin_unlock(lraw)


@scenario("context.kmem-cache-destroy-under-mutex-ok")
def destroy_under_mutex(k, s):
    m = DEFINE_MUTEX("m")
    c = kmem_cache_create("orc_kcd", 48, 0, 0, None)
    mutex_lock(m)
    kmem_cache_destroy(c)
    mutex_unlock(m)


# -- what the kernel misses ---------------------------------------------------------------------------------------


@scenario("context.irq-enable-inside-irqsave")
def irq_enable_inside_irqsave(k, s):
    x = DEFINE_SPINLOCK("x")
    flags = spin_lock_irqsave(x)
    local_irq_enable()
    spin_unlock_irqrestore(x, flags)


@scenario("context.irqsave-flags-swapped")
def flags_swapped(k, s):
    x, y = DEFINE_SPINLOCK("x"), DEFINE_SPINLOCK("y")
    f1 = spin_lock_irqsave(x)
    f2 = spin_lock_irqsave(y)
    spin_unlock_irqrestore(y, f1)
    s.check("irqs_disabled_while_x_held", irqs_disabled())
    spin_unlock_irqrestore(x, f2)
    # f2 says that interrupts were off when it was saved.
    s.except_("irqs_disabled_after", "the recording's timer interrupt came in between and returned with them on")
    local_irq_enable()


@scenario("context.spin-unlock-irq-nested")
def unlock_irq_nested(k, s):
    x, y = DEFINE_SPINLOCK("x"), DEFINE_SPINLOCK("y")
    flags = spin_lock_irqsave(x)
    spin_lock_irq(y)
    spin_unlock_irq(y)
    s.check("irqs_disabled_while_x_held", irqs_disabled())
    spin_unlock_irqrestore(x, flags)


@scenario("context.mutex-trylock-in-hardirq")
def trylock_in_hardirq(k, s):
    ma = DEFINE_MUTEX("ma")
    with k.hardirq():
        s.check("returned", mutex_trylock(ma))
        mutex_unlock(ma)


@scenario("context.rwsem-up-write-read-held")
def up_write_read_held(k, s):
    rs = DECLARE_RWSEM("rs")
    down_read(rs)
    up_write(rs)


# -- initialisation -----------------------------------------------------------------------------------------------


@scenario("context.spin-uninit-zeroed")
def spin_uninit(k, s):
    o = new()
    spin_lock(o.lock)
    spin_unlock(o.lock)
    kfree(o)


@scenario("context.spin-uninit-zeroed-nolockdep")
def spin_uninit_nolockdep(k, s):
    o = new()
    lockdep_off()
    spin_lock(o.lock)
    spin_unlock(o.lock)
    lockdep_on()
    kfree(o)


@scenario("context.mutex-uninit-zeroed")
def mutex_uninit(k, s):
    o = new()
    mutex_lock(o.m)
    mutex_unlock(o.m)
    kfree(o)


@scenario("context.mutex-destroy-locked")
def destroy_locked(k, s):
    o = new()
    mutex_init(o.m)
    mutex_lock(o.m)
    mutex_destroy(o.m)


@scenario("context.kfree-held-lock", except_headlines=dict.fromkeys(
    ("segfault", "cgroup-defs.h:771", "scheduling while atomic"), DIES))  # fmt: skip
def kfree_held_lock(k, s):
    o = new()
    spin_lock_init(o.lock)
    spin_lock(o.lock)
    kfree(o)


@scenario("context.free-page-held-mutex")
def free_page_held_mutex(k, s):
    page = get_zeroed_page(GFP_KERNEL)
    o = lobj.at(page)
    mutex_init(o.m)
    mutex_lock(o.m)
    free_page(page)


# -- releasing ----------------------------------------------------------------------------------------------------


@scenario("context.spin-unlock-not-locked")
def spin_unlock_not_locked(k, s):
    spin_unlock(DEFINE_SPINLOCK("la"))


@scenario("context.spin-unlock-not-locked-nolockdep")
def spin_unlock_not_locked_nolockdep(k, s):
    lockdep_off()
    preempt_disable()
    spin_unlock(DEFINE_SPINLOCK("la"))
    lockdep_on()


@scenario("context.spin-double-unlock")
def spin_double_unlock(k, s):
    la = DEFINE_SPINLOCK("la")
    spin_lock(la)
    spin_unlock(la)
    spin_unlock(la)


@scenario("context.mutex-unlock-not-locked")
def mutex_unlock_not_locked(k, s):
    mutex_unlock(DEFINE_MUTEX("ma"))


@scenario("context.mutex-unlock-by-other")
def mutex_unlock_by_other(k, s):
    ma = DEFINE_MUTEX("ma")
    mutex_lock(ma)
    in_thread(k, lambda: mutex_unlock(ma))
    s.check("mutex_is_locked_after", mutex_is_locked(ma))


@scenario("context.mutex-unlock-by-other-nolockdep")
def mutex_unlock_by_other_nolockdep(k, s):
    ma = DEFINE_MUTEX("ma")
    mutex_lock(ma)
    in_thread(k, lambda: (lockdep_off(), mutex_unlock(ma), lockdep_on()))
    s.check("mutex_is_locked_after", mutex_is_locked(ma))


@scenario("context.rwsem-up-read-unheld")
def up_read_unheld(k, s):
    up_read(DECLARE_RWSEM("rs"))


@scenario("context.rwsem-downgrade-unheld")
def downgrade_unheld(k, s):
    rs = DECLARE_RWSEM("rs")
    down_read(rs)
    downgrade_write(rs)
    balance.check_syscall_exit(k, 1)


@scenario("context.irqsave-plain-unlock")
def irqsave_plain_unlock(k, s):
    x = DEFINE_SPINLOCK("x")
    spin_lock_irqsave(x)
    spin_unlock(x)
    s.check("irqs_disabled_after", irqs_disabled())
    balance.check_syscall_exit(k, 1)


@scenario("context.spin-lock-bh-plain-unlock", except_headlines=dict.fromkeys(
    ("segfault", "cgroup-defs.h:771", "scheduling while atomic"), EARLIER))  # fmt: skip
def bh_plain_unlock(k, s):
    x = DEFINE_SPINLOCK("x")
    spin_lock_bh(x)
    spin_unlock(x)
    s.check("preempt_count_after", preempt_count())
    balance.check_syscall_exit(k, 1)
    assert k.reports[0].kind == "lock-api-mismatch"


@scenario("context.spin-lock-unlock-bh", except_headlines=dict.fromkeys(
    ("DEBUG_LOCKS_WARN_ON", "segfault", "cgroup-defs.h:771", "scheduling while atomic"), EARLIER))  # fmt: skip
def plain_unlock_bh(k, s):
    x = DEFINE_SPINLOCK("x")
    spin_lock(x)
    spin_unlock_bh(x)
    s.except_("preempt_count_after", "the kernel's count wraps below zero; here it stays balanced")
    assert [r.kind for r in k.reports] == ["lock-api-mismatch"]


@scenario("context.spin-unlock-bh-irqs-off")
def unlock_bh_irqs_off(k, s):
    x = DEFINE_SPINLOCK("x")
    local_irq_disable()
    spin_lock_bh(x)
    spin_unlock_bh(x)
    local_irq_enable()


@scenario("context.rcu-unlock-unbalanced", except_headlines={
    "tree_plugin.h:755": "a timer tick stumbles over the negative depth, which stays 0 here",
    "mm/memory.c:5322": "a page fault stumbles over the negative depth, which stays 0 here",
})  # fmt: skip
def rcu_unlock_unbalanced(k, s):
    rcu_read_unlock()


# -- taking -------------------------------------------------------------------------------------------------------


@scenario("context.irq-unsafe-usage")
def irq_unsafe_usage(k, s):
    la = DEFINE_SPINLOCK("la")
    with k.hardirq():
        spin_lock(la)
        spin_unlock(la)
    spin_lock(la)
    spin_unlock(la)


@scenario("context.irq-unsafe-usage-reversed")
def irq_unsafe_usage_reversed(k, s):
    la = DEFINE_SPINLOCK("la")
    spin_lock(la)
    spin_unlock(la)
    with k.hardirq():
        spin_lock(la)
        spin_unlock(la)


@scenario("context.softirq-unsafe-usage")
def softirq_unsafe_usage(k, s):
    la = DEFINE_SPINLOCK("la")
    with k.softirq():
        spin_lock(la)
        spin_unlock(la)
    spin_lock(la)
    spin_unlock(la)


@scenario("context.mutex-in-spinlock")
def mutex_in_spinlock(k, s):
    la, ma = DEFINE_SPINLOCK("la"), DEFINE_MUTEX("ma")
    spin_lock(la)
    mutex_lock(ma)
    mutex_unlock(ma)
    spin_unlock(la)


@scenario("context.mutex-lock-in-hardirq")
def mutex_in_hardirq(k, s):
    ma = DEFINE_MUTEX("ma")
    with k.hardirq():
        mutex_lock(ma)
        mutex_unlock(ma)


@scenario("context.rwlock-read-twice")
def read_twice(k, s):
    r = DEFINE_RWLOCK("r")
    read_lock(r)
    read_lock(r)
    read_unlock(r)
    read_unlock(r)


@scenario("context.rwlock-upgrade")
def rwlock_upgrade(k, s):
    rwl = DEFINE_RWLOCK("rwl")
    read_lock(rwl)
    write_lock(rwl)


@scenario("context.rwsem-read-twice")
def down_read_twice(k, s):
    rs = DECLARE_RWSEM("rs")
    down_read(rs)
    down_read(rs)
    up_read(rs)
    up_read(rs)


@scenario("context.rwsem-upgrade")
def rwsem_upgrade(k, s):
    rs = DECLARE_RWSEM("rs")
    down_read(rs)
    down_write(rs)


@scenario("context.same-class-nested")
def same_class_nested(k, s):
    o = [new(), new()]
    for i in range(2):
        spin_lock_init(o[i].lock)
    spin_lock(o[0].lock)
    spin_lock(o[1].lock)
    spin_unlock(o[1].lock)
    spin_unlock(o[0].lock)


@scenario("context.spin-recursion-novalidate")
def spin_recursion(k, s):
    lock = spinlock_t()
    spin_lock_init(lock)
    lockdep_set_novalidate_class(lock)
    spin_lock(lock)
    spin_lock(lock)


@scenario("context.lockdep-assert-held-fails")
def assert_held_fails(k, s):
    lockdep_assert_held(DEFINE_MUTEX("ma"))


@scenario("context.lockdep-assert-not-held-fails")
def assert_not_held_fails(k, s):
    ma = DEFINE_MUTEX("ma")
    mutex_lock(ma)
    lockdep_assert_not_held(ma)
    mutex_unlock(ma)


# -- RCU and completions --------------------------------------------------------------------------------------------


@scenario("context.schedule-in-rcu-reader")
def schedule_in_reader(k, s):
    rcu_read_lock()
    schedule_timeout_uninterruptible(2)
    rcu_read_unlock()


@scenario("context.synchronize-rcu-in-reader")
def synchronize_in_reader(k, s):
    rcu_read_lock()
    synchronize_rcu()


@scenario("context.completion-uninit-zeroed", except_headlines={
    "out-of-bounds in swake_up_locked": "the wait list is a Python object, not zeroed memory",
})  # fmt: skip
def completion_uninit(k, s):
    o = new()
    complete(o.c)
    kfree(o)


@scenario("context.flush-work-self")
def flush_itself(k, s):
    selfwork = DECLARE_WORK("selfwork", flush_work)
    schedule_work(selfwork)
    msleep(300)


# -- in which order -------------------------------------------------------------------------------------------------


def one_inside_the_other(take, release, outer, inner):
    take(outer)
    take(inner)
    release(inner)
    release(outer)


@scenario("context.abba-mutex")
def abba_mutex(k, s):
    ma, mb = DEFINE_MUTEX("ma"), DEFINE_MUTEX("mb")
    one_inside_the_other(mutex_lock, mutex_unlock, ma, mb)
    one_inside_the_other(mutex_lock, mutex_unlock, mb, ma)
    as_recorded(k, s)


@scenario("context.abba-spin")
def abba_spin(k, s):
    la, lb = DEFINE_SPINLOCK("la"), DEFINE_SPINLOCK("lb")
    one_inside_the_other(spin_lock, spin_unlock, la, lb)
    one_inside_the_other(spin_lock, spin_unlock, lb, la)
    as_recorded(k, s)


@scenario("context.might-lock-inversion")
def might_lock_inversion(k, s):
    ma, mb = DEFINE_MUTEX("ma"), DEFINE_MUTEX("mb")
    one_inside_the_other(mutex_lock, mutex_unlock, ma, mb)
    mutex_lock(mb)
    might_lock(ma)
    mutex_unlock(mb)
    as_recorded(k, s)


@scenario("context.irq-lock-order")
def irq_lock_order(k, s):
    la, lb = DEFINE_SPINLOCK("la"), DEFINE_SPINLOCK("lb")
    with k.hardirq():
        spin_lock(la)
        spin_unlock(la)
    spin_lock(lb)
    spin_unlock(lb)
    flags = spin_lock_irqsave(la)
    spin_lock(lb)
    spin_unlock(lb)
    spin_unlock_irqrestore(la, flags)
    as_recorded(k, s)


@scenario("context.spinlock-in-raw-spinlock-waitctx", boot={"prove_raw_lock_nesting": True})
def spinlock_in_raw_spinlock_checked(k, s):
    lraw, la = DEFINE_RAW_SPINLOCK("lraw"), DEFINE_SPINLOCK("la")
    raw_spin_lock(lraw)
    spin_lock(la)
    spin_unlock(la)
    raw_spin_unlock(lraw)
    as_recorded(k, s)


def as_recorded(k, s):
    """Every recorded line below the headline was printed, in order; what the recording's system call held is not."""
    said = iter(k.reports[0].lines)
    for line in s.recording.reports[0]["lines"]:
        if "sb_writers" in line or "locks held by" in line or line.startswith(" #1:"):
            continue
        wanted = pattern(line)
        assert any(wanted.match(mine) for mine in said), line


# -- on the stack ---------------------------------------------------------------------------------------------------


class frame(Struct):
    c: completion


@scenario("context.complete-dead-stack-frame", except_headlines=dict.fromkeys(
    ("queued_spin_lock_slowpath",), "what the kernel makes of the dead frame's contents"))  # fmt: skip
def complete_dead_stack_frame(k, s):
    def waits():
        local = frame()
        init_completion(local.c)
        return local.c

    complete(waits())


@scenario("context.completion-onstack-wrong-macro")
def completion_onstack_wrong_macro(k, s):
    local = frame()
    local.c = DECLARE_COMPLETION("c")
    complete(local.c)
    wait_for_completion(local.c)
