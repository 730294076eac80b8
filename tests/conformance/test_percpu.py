"""Per-CPU memory, as recorded: limits, alignment, where units lie, wrong frees, and pinning to a processor."""

from __future__ import annotations

from itertools import pairwise

from kmock.kernel import balance
from kmock.linux.bottom_half import local_bh_disable, local_bh_enable
from kmock.linux.delay import msleep
from kmock.linux.gfp import __GFP_NOWARN, GFP_ATOMIC, GFP_KERNEL
from kmock.linux.irqflags import local_irq_disable, local_irq_enable
from kmock.linux.percpu import (
    DEFINE_PER_CPU,
    PCPU_MIN_UNIT_SIZE,
    __alloc_percpu,
    __alloc_percpu_gfp,
    alloc_percpu,
    alloc_percpu_gfp,
    free_percpu,
    get_cpu_ptr,
    get_cpu_var,
    per_cpu,
    per_cpu_ptr,
    put_cpu_ptr,
    put_cpu_var,
)
from kmock.linux.preempt import migrate_disable, migrate_enable, preempt_count
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.smp import get_cpu, put_cpu, raw_smp_processor_id, smp_processor_id
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import u64
from tests.conformance.replay import scenario

ADDRESS_MASK = (1 << 64) - 1


def cpus(k):
    return range(len(k.cpus))


# -- allocation -------------------------------------------------------------------------------------------------------


@scenario("percpu.zeroed")
def zeroed(k, s):
    dirty = 0
    for _ in range(8):
        a = alloc_percpu(u64)
        for cpu in cpus(k):
            dirty += per_cpu_ptr(a, cpu).value != 0
            per_cpu_ptr(a, cpu).value = 0x1122334455667788
        free_percpu(a)
    s.check("nonzero_found", dirty)
    s.check("possible_cpus", len(k.cpus))


@scenario("percpu.alignment")
def alignment(k, s):
    got = {}
    for order in range(13):
        align = 1 << order
        a = __alloc_percpu(24, align)
        got[str(align)] = max(int(per_cpu_ptr(a, cpu)) % align for cpu in cpus(k))
        free_percpu(a)
    s.check("remainder_by_align", got)


@scenario("percpu.limits")
def limits(k, s):
    def ok(size, align, gfp=GFP_KERNEL):
        a = __alloc_percpu_gfp(size, align, gfp)
        free_percpu(a)
        return bool(a)

    s.check("PCPU_MIN_UNIT_SIZE", PCPU_MIN_UNIT_SIZE)
    s.check("max_size_ok", ok(PCPU_MIN_UNIT_SIZE, 8))
    s.check("max_size_plus_1_ok", ok(PCPU_MIN_UNIT_SIZE + 1, 8))
    s.check("size_0_ok", ok(0, 8))
    s.check("align_8192_ok", ok(8, 8192))
    s.check("align_24_ok", ok(8, 24))
    s.check("too_large_nowarn_ok", ok(PCPU_MIN_UNIT_SIZE + 1, 8, GFP_KERNEL | __GFP_NOWARN))


def distances(k, of):
    return [(int(of(cpu)) - int(of(0))) & ADDRESS_MASK for cpu in cpus(k)]


def all_distances(k):
    a = alloc_percpu(u64)
    b = __alloc_percpu(4000, 64)
    variable = DEFINE_PER_CPU(u64, "ora_distance")
    found = [distances(k, lambda cpu, p=p: per_cpu_ptr(p, cpu)) for p in (a, b, variable)]
    free_percpu(a)
    free_percpu(b)
    return found


@scenario("percpu.cpu-deltas")
def deltas(k, s):
    found = all_distances(k)
    s.check("delta_by_cpu", found[0])
    s.check("all_equal", all(one == found[0] for one in found))


@scenario("percpu.cpu-deltas--numa")
def deltas_numa(k, s):
    found = all_distances(k)
    s.check("all_equal", all(one == found[0] for one in found))
    s.except_(
        "delta_by_cpu", "how far the second node's memory is from the first's kernel depends on the recorded boot"
    )
    # Within a node units are as far apart as recorded.
    recorded = s.observed["delta_by_cpu"]
    near = [(a, b) for a, b in pairwise(cpus(k)) if k.config.cpu_to_node(a) == k.config.cpu_to_node(b)]
    assert near
    for a, b in near:
        assert found[0][b] - found[0][a] == recorded[b] - recorded[a]


@scenario("percpu.alloc-under-spinlock")
def under_spinlock(k, s):
    lock = DEFINE_SPINLOCK("olock")
    spin_lock(lock)
    a = alloc_percpu_gfp(u64, GFP_ATOMIC)
    s.check("atomic_ok", bool(a))
    free_percpu(a)
    a = alloc_percpu(u64)
    s.check("kernel_ok", bool(a))
    spin_unlock(lock)
    free_percpu(a)


@scenario("percpu.static-initial-value")
def initial_value(k, s):
    seven = DEFINE_PER_CPU(int, "ora_seven", 7)
    zero = DEFINE_PER_CPU(int, "ora_zero")
    s.check("seven_and_zero_by_cpu", [per_cpu(v, cpu).value for cpu in cpus(k) for v in (seven, zero)])


# -- freeing ----------------------------------------------------------------------------------------------------------


@scenario("percpu.free-null")
def free_null(k, s):
    free_percpu(None)
    a = alloc_percpu(u64)
    lock = DEFINE_SPINLOCK("olock")
    spin_lock(lock)
    free_percpu(a)
    spin_unlock(lock)


@scenario("percpu.double-free", "percpu.double-free--plain")
def double_free(k, s):
    a = __alloc_percpu(512, 8)
    free_percpu(a)
    free_percpu(a)
    b = __alloc_percpu(512, 8)
    c = __alloc_percpu(512, 8)
    s.check("b_and_c_differ", b != c)


@scenario("percpu.free-per-cpu-ptr")
def free_copy(k, s):
    free_percpu(per_cpu_ptr(alloc_percpu(u64), 1))


@scenario("percpu.free-of-kmalloc")
def free_kmalloc(k, s):
    free_percpu(kmalloc(64, GFP_KERNEL))


@scenario("percpu.kfree-of-percpu")
def kfree_percpu(k, s):
    kfree(alloc_percpu(u64))


@scenario(
    "percpu.deref-without-accessor",
    except_headlines={"page fault for address": "which cookie is the next depends on what the recorded boot took"},
)
def raw_deref(k, s):
    alloc_percpu(u64).u64[0]


@scenario("percpu.leak")
def leak(k, s):
    __alloc_percpu(777, 8)
    k.advance(6)
    k.write_file("/sys/kernel/debug/kmemleak", "scan")
    k.write_file("/sys/kernel/debug/kmemleak", "scan")


# -- pinned to a processor --------------------------------------------------------------------------------------------


def inside(enter, leave):
    enter()
    count = preempt_count()
    leave()
    return count


@scenario("percpu.get-cpu-preempt-count")
def counts(k, s):
    a = alloc_percpu(u64)
    variable = DEFINE_PER_CPU(int, "ora_seven", 7)
    lock = DEFINE_SPINLOCK("olock")
    s.check("before", preempt_count())
    get_cpu()
    s.check("in_get_cpu", preempt_count())
    get_cpu()
    s.check("nested", preempt_count())
    put_cpu()
    s.check("after_one_put", preempt_count())
    put_cpu()
    s.check("after_both", preempt_count())
    s.check("get_cpu_ptr", inside(lambda: get_cpu_ptr(a), lambda: put_cpu_ptr(a)))
    s.check("get_cpu_var", inside(lambda: get_cpu_var(variable), lambda: put_cpu_var(variable)))
    s.check("spin_lock", inside(lambda: spin_lock(lock), lambda: spin_unlock(lock)))
    s.check("local_irq_disable", inside(local_irq_disable, local_irq_enable))
    s.check("rcu_read_lock", inside(rcu_read_lock, rcu_read_unlock))
    s.check("migrate_disable", inside(migrate_disable, migrate_enable))
    s.check("local_bh_disable", inside(local_bh_disable, local_bh_enable))
    free_percpu(a)


@scenario("percpu.smp-processor-id-preemptible")
def preemptible(k, s):
    raw_smp_processor_id()
    get_cpu()
    smp_processor_id()
    put_cpu()
    migrate_disable()
    smp_processor_id()
    migrate_enable()
    rcu_read_lock()
    smp_processor_id()
    rcu_read_unlock()
    smp_processor_id()


@scenario("percpu.smp-processor-id-pinned")
def pinned(k, s):
    # Affinity alone does not tell the check: only threads bound to one processor are left out.
    smp_processor_id()


@scenario(
    "percpu.sleep-between-get-and-put-cpu",
    except_headlines={
        "DEBUG_LOCKS_WARN_ON": "the scheduler clears the count after its complaint; here the driver's put_cpu() finds it"
    },
)
def sleeps(k, s):
    get_cpu()
    msleep(10)
    put_cpu()
    s.check("preempt_count_left", preempt_count())


@scenario("percpu.missing-put-cpu", except_headlines={"segfault": "the recording's process died of it"})
def missing_put(k, s):
    get_cpu()
    balance.check_syscall_exit(k, 1)


@scenario("percpu.extra-put-cpu")
def extra_put(k, s):
    put_cpu()
    s.check("preempt_count", preempt_count())
