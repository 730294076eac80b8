"""RCU: readers, grace periods, callbacks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import kmock
from kmock.linux.delay import msleep
from kmock.linux.kthread import kthread_run
from kmock.linux.list import HLIST_HEAD, LIST_HEAD, hlist_node, list_head
from kmock.linux.preempt import in_serving_softirq, preempt_disable, preempt_enable
from kmock.linux.rculist import (
    hlist_add_head_rcu,
    hlist_del_rcu,
    hlist_for_each_entry_rcu,
    list_add_rcu,
    list_add_tail_rcu,
    list_del_rcu,
    list_entry_rcu,
    list_first_or_null_rcu,
    list_for_each_entry_rcu,
    list_replace_rcu,
)
from kmock.linux.rcupdate import (
    RCU_INIT_POINTER,
    call_rcu,
    kfree_rcu,
    rcu_assign_pointer,
    rcu_barrier,
    rcu_dereference,
    rcu_dereference_check,
    rcu_dereference_raw,
    rcu_head,
    rcu_read_lock,
    rcu_read_lock_bh,
    rcu_read_unlock,
    rcu_read_unlock_bh,
    rcu_replace_pointer,
    synchronize_rcu,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, kzalloc
from kmock.linux.srcu import (
    DEFINE_SRCU,
    DEFINE_STATIC_SRCU,
    call_srcu,
    cleanup_srcu_struct,
    init_srcu_struct,
    srcu_barrier,
    srcu_dereference,
    srcu_read_lock,
    srcu_read_lock_held,
    srcu_read_unlock,
    srcu_struct,
    synchronize_srcu,
    synchronize_srcu_expedited,
)
from kmock.linux.types import NULL, Struct, addressof, sizeof, u64


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def test_a_callback_comes_after_the_readers_there_are(k):
    log = []
    rcu_read_lock()
    call_rcu(rcu_head(), lambda head: log.append(in_serving_softirq()))
    k.advance(1)
    assert log == []
    rcu_read_unlock()
    k.advance(1)
    assert log == [0x100]


def test_a_reader_that_comes_later_does_not_count(k):
    log = []
    call_rcu(rcu_head(), lambda head: log.append(1))
    rcu_read_lock()
    k.advance(1)
    assert log == [1]
    rcu_read_unlock()


def test_readers_on_another_cpu_count(k):
    log = []
    with k.on_cpu(1):
        rcu_read_lock()
    call_rcu(rcu_head(), lambda head: log.append(1))
    k.advance(1)
    with k.on_cpu(1):
        rcu_read_unlock()
        assert log == []
        rcu_read_lock_bh()
        rcu_read_unlock_bh()
    k.advance(1)
    assert log == [1]


def test_a_cpu_with_preemption_off_counts(k):
    log = []
    with k.on_cpu(1):
        preempt_disable()
    call_rcu(rcu_head(), lambda head: log.append(1))
    k.advance(1)
    assert log == []
    with k.on_cpu(1):
        preempt_enable()
    k.advance(1)
    assert log == [1]


def test_synchronize_waits_for_a_reader_that_was_switched_out(k):
    log = []

    def reader(data):
        rcu_read_lock()
        with k.expect("rcu-sleep-in-reader"):
            msleep(50)
        log.append("read")
        rcu_read_unlock()
        return 0

    kthread_run(reader, None, "reader")
    msleep(1)
    synchronize_rcu()
    log.append("synchronized")
    assert log == ["read", "synchronized"]


def test_barrier_waits_for_callbacks_in_order(k):
    log = []
    heads = [rcu_head(), rcu_head()]
    for n, head in enumerate(heads):
        call_rcu(head, lambda head, n=n: log.append(n))
    rcu_barrier()
    assert log == [0, 1]


def test_a_callback_comes_with_time(k):
    log = []
    call_rcu(rcu_head(), lambda head: log.append(1))
    k.advance(0.1)
    assert log == [1]


def test_kfree_rcu_frees_later(k):
    p = kmalloc(16, GFP_KERNEL)
    kfree_rcu(p)
    p[0:2] = b"ok"
    k.advance(6)
    with k.expect("slab-use-after-free-read"):
        p[0]


def test_dereference_outside_a_reader(k):
    shared = object()
    rcu_read_lock()
    assert rcu_dereference(shared) is shared
    rcu_read_unlock()
    with k.expect("rcu-deref-outside"):
        rcu_dereference(shared)


# -- pointers --------------------------------------------------------------------------------------------


class config(Struct):
    value: u64
    node: list_head


def test_replacing_a_pointer(k):
    root = SimpleNamespace(config=NULL)
    one, two = (config.at(kzalloc(sizeof(config), GFP_KERNEL)) for _ in range(2))
    RCU_INIT_POINTER(root, "config", one)
    assert rcu_replace_pointer(root, "config", two, True) is one
    rcu_read_lock()
    assert rcu_dereference_check(root.config, False) is two
    rcu_read_unlock()
    assert rcu_dereference_check(root.config, True) is rcu_dereference_raw(root.config) is two
    kfree(addressof(one))
    kfree(addressof(two))


def test_a_pointer_that_nobody_reads_any_more_may_be_freed(k):
    root = SimpleNamespace(config=NULL)
    rcu_assign_pointer(root, "config", kzalloc(8, GFP_KERNEL))
    with k.on_cpu(1):
        rcu_read_lock()
        rcu_dereference(root.config)
        rcu_read_unlock()
        rcu_read_lock()
    kfree(root.config)
    with k.on_cpu(1):
        rcu_read_unlock()


def test_a_list_for_readers(k):
    head = LIST_HEAD("head")
    entries = [config.at(kzalloc(sizeof(config), GFP_KERNEL)) for _ in range(4)]
    for n, entry in enumerate(entries):
        entry.value = n
    list_add_rcu(entries[1].node, head)
    list_add_rcu(entries[0].node, head)
    list_add_tail_rcu(entries[2].node, head)

    def values():
        return [entry.value for entry in list_for_each_entry_rcu(head, config, "node")]

    rcu_read_lock()
    assert values() == [0, 1, 2]
    assert list_first_or_null_rcu(head, config, "node").value == 0
    assert list_entry_rcu(entries[1].node, config, "node").value == 1
    rcu_read_unlock()
    with k.expect("rcu-deref-outside"):
        values()
    assert [e.value for e in list_for_each_entry_rcu(head, config, "node", True)] == [0, 1, 2]
    list_replace_rcu(entries[1].node, entries[3].node)
    walk = list_for_each_entry_rcu(head, config, "node", True)
    assert next(walk).value == 0
    list_del_rcu(entries[0].node)
    assert [entry.value for entry in walk] == [3, 2]
    synchronize_rcu()
    for entry in (entries[2], entries[3]):
        list_del_rcu(entry.node)
    assert list_first_or_null_rcu(head, config, "node") == NULL
    for entry in entries:
        kfree(addressof(entry))


def test_a_hash_list_for_readers(k):
    head, entries = HLIST_HEAD(), [SimpleNamespace(value=n, node=hlist_node()) for n in range(3)]
    for entry in entries:
        hlist_add_head_rcu(entry.node, head)
    rcu_read_lock()
    walk = hlist_for_each_entry_rcu(head, SimpleNamespace, "node")
    assert next(walk).value == 2
    hlist_del_rcu(entries[2].node)
    assert [entry.value for entry in walk] == [1, 0]
    rcu_read_unlock()


# -- SRCU ------------------------------------------------------------------------------------------------


def test_a_reader_under_srcu_may_sleep_and_is_waited_for(k):
    ssp, log = DEFINE_SRCU("ssp"), []

    def reader(_):
        idx = srcu_read_lock(ssp)
        msleep(100)
        log.append(("read", bool(srcu_read_lock_held(ssp))))
        srcu_read_unlock(ssp, idx)

    kthread_run(reader, None, "reader")
    msleep(10)
    synchronize_srcu(ssp)
    log.append("synchronized")
    assert log == [("read", True), "synchronized"]
    synchronize_srcu_expedited(ssp)
    assert not srcu_read_lock_held(ssp)


def test_a_reader_of_another_flavour_is_not_waited_for(k):
    mine, other, log = DEFINE_STATIC_SRCU("mine"), srcu_struct(), []
    assert init_srcu_struct(other) == 0
    idx = srcu_read_lock(other)
    call_srcu(mine, rcu_head(), lambda head: log.append("mine"))
    call_srcu(other, rcu_head(), lambda head: log.append("other"))
    srcu_barrier(mine)
    assert log == ["mine"]
    srcu_read_unlock(other, idx)
    srcu_barrier(other)
    assert log == ["mine", "other"]
    cleanup_srcu_struct(other)


def test_srcu_sections_nest_by_their_index(k):
    ssp = DEFINE_SRCU("ssp")
    first = srcu_read_lock(ssp)
    call_srcu(ssp, rcu_head(), lambda head: None)
    second = srcu_read_lock(ssp)
    assert first != second
    srcu_read_unlock(ssp, first)
    with k.expect("rcu-unbalanced"):
        srcu_read_unlock(ssp, first)
    srcu_read_unlock(ssp, second)
    srcu_barrier(ssp)


def test_waiting_for_oneself_under_srcu(k):
    ssp = DEFINE_SRCU("ssp")
    idx = srcu_read_lock(ssp)
    with k.expect("rcu-sync-in-reader"), pytest.raises(kmock.Deadlock):
        synchronize_srcu(ssp)
    srcu_read_unlock(ssp, idx)


def test_giving_srcu_up_while_somebody_reads(k):
    ssp = DEFINE_SRCU("ssp")
    idx = srcu_read_lock(ssp)
    with k.expect("rcu-free-without-grace"):
        cleanup_srcu_struct(ssp)
    srcu_read_unlock(ssp, idx)
    cleanup_srcu_struct(ssp)


def test_a_pointer_under_srcu(k):
    ssp, root = DEFINE_SRCU("ssp"), SimpleNamespace(config=NULL)
    rcu_assign_pointer(root, "config", kzalloc(8, GFP_KERNEL))
    idx = srcu_read_lock(ssp)
    assert srcu_dereference(root.config, ssp) == root.config
    srcu_read_unlock(ssp, idx)
    rcu_read_lock()
    with k.expect("rcu-wrong-flavour"):
        srcu_dereference(root.config, ssp)
    rcu_read_unlock()
    kfree(root.config)
