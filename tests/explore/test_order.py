"""What orders two accesses, and what does not."""

from __future__ import annotations

import pytest

from kmock.explore.search import attempt_of, explore
from kmock.explore.strategy import Strategy
from kmock.linux import atomic, barrier, bitops, refcount
from kmock.linux.atomic import atomic_t
from kmock.linux.barrier import smp_load_acquire, smp_store_mb, smp_store_release
from kmock.linux.bitops import clear_bit_unlock, set_bit
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE, data_race
from kmock.linux.list import INIT_LIST_HEAD, list_del, list_for_each_entry, list_head
from kmock.linux.processor import cpu_relax
from kmock.linux.rculist import list_add_rcu, list_for_each_entry_rcu
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kmock.linux.seqlock import read_seqbegin, read_seqretry, seqlock_init, seqlock_t, write_seqlock, write_sequnlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.srcu import DEFINE_SRCU, srcu_read_lock, srcu_read_unlock, synchronize_srcu
from kmock.linux.types import Struct, addressof, offsetof, u32, u64


class Box(Struct):
    flag: u32
    data: u32
    count: atomic_t


def race(send, receive):
    """Whether a message that ``send(box)`` announces and ``receive(box)`` waits for is read without order."""

    def program(k):
        box = Box.at(kzalloc(64, GFP_KERNEL))

        def sender():
            box.data = 42
            send(box)

        def receiver():
            while not receive(box):
                cpu_relax()
            assert box.data == 42

        k.spawn(sender, cpu=0)
        k.spawn(receiver, cpu=1)
        k.join()
        kfree(box)

    result = explore(program, strategy="random", runs=25)
    if result.failed is None:
        return False
    assert result.failed.failure == {"data-race"}
    return True


def send_with(fence):
    def send(box):
        getattr(barrier, fence)()
        WRITE_ONCE(box, "flag", 1)

    return send


def receive_with(fence):
    def receive(box):
        flag = READ_ONCE(box.flag)
        getattr(barrier, fence)()
        return flag

    return receive


def plain_send(box):
    WRITE_ONCE(box, "flag", 1)


def plain_receive(box):
    return READ_ONCE(box.flag)


@pytest.mark.parametrize("write", ["smp_wmb", "smp_mb", "wmb", "mb", "dma_wmb", "smp_mb__before_atomic"])
@pytest.mark.parametrize("read", ["smp_rmb", "smp_mb", "rmb", "mb", "dma_rmb", "smp_acquire__after_ctrl_dep"])
def test_a_barrier_on_either_side_orders(write, read):
    assert not race(send_with(write), receive_with(read))


@pytest.mark.parametrize(
    ("send", "receive"),
    [
        (plain_send, plain_receive),
        (send_with("smp_wmb"), plain_receive),
        (plain_send, receive_with("smp_rmb")),
        (send_with("smp_rmb"), receive_with("smp_wmb")),
    ],
)
def test_one_side_alone_does_not(send, receive):
    assert race(send, receive)


def test_acquire_and_release_order():
    def release(box):
        smp_store_release(box, "flag", 1)

    def acquire(box):
        return smp_load_acquire(box.flag)

    assert not race(release, acquire)
    assert race(plain_send, acquire)
    assert race(release, plain_receive)
    assert not race(release, receive_with("smp_rmb"))


def test_smp_store_mb_orders_what_comes_after_it():
    def send(box):
        smp_store_mb(box, "flag", 1)

    assert race(send, receive_with("smp_rmb"))


@pytest.mark.parametrize(
    ("send", "receive", "ordered"),
    [
        (lambda box: atomic.atomic_inc_return(box.count), lambda box: atomic.atomic_add_return(0, box.count), True),
        (lambda box: atomic.atomic_xchg(box.count, 1), lambda box: atomic.atomic_cmpxchg(box.count, 1, 2), True),
        (lambda box: atomic.atomic_inc(box.count), lambda box: atomic.atomic_read(box.count), False),
        (lambda box: atomic.atomic_set(box.count, 1), lambda box: atomic.atomic_add_return(0, box.count), False),
    ],
)
def test_atomics_that_return_something_order(send, receive, ordered):
    assert race(send, receive) is not ordered


def test_a_barrier_before_a_relaxed_atomic_orders():
    def send(box):
        barrier.smp_mb__before_atomic()
        atomic.atomic_inc(box.count)

    def receive(box):
        count = atomic.atomic_read(box.count)
        barrier.smp_mb__after_atomic()
        return count

    assert not race(send, receive)


def accesses(first, second):
    """Return the kinds of report of two unordered accesses to one member."""

    def program(k):
        box = Box.at(kzalloc(64, GFP_KERNEL))
        k.spawn(first, box, cpu=0)
        k.spawn(second, box, cpu=1)
        k.join()
        kfree(box)

    result = explore(program, strategy="exhaustive", preemptions=1)
    return set(result.failed.failure) if result.failed is not None else set()


def load(box):
    return box.data


def store(box):
    box.data = 1


def load_once(box):
    return READ_ONCE(box.data)


def store_once(box):
    WRITE_ONCE(box, "data", 1)


def load_racy(box):
    return data_race(box.data + box.data)


@pytest.mark.parametrize(
    ("first", "second", "races"),
    [
        (load, load, False),
        (load, store, True),
        (store, store, True),
        (load_once, store, True),
        (load, store_once, True),
        (load_once, store_once, False),
        (load_racy, store_once, False),
        (store_once, store_once, False),
    ],
)
def test_two_accesses(first, second, races):
    assert accesses(first, second) == ({"data-race"} if races else set())


def test_members_beside_each_other_do_not_race():
    def store_flag(box):
        box.flag = 1

    assert accesses(store_flag, store) == set()


def test_the_report_is_kcsans():
    def program(k):
        box = Box.at(kzalloc(64, GFP_KERNEL))
        k.spawn(store, box, cpu=0)
        k.spawn(load, box, cpu=1)
        k.join()
        kfree(box)

    (report,) = explore(program).failed.reports
    assert report.headline == "BUG: KCSAN: data-race in load / store"
    text = "\n".join(report.lines)
    assert "of 4 bytes by task" in text
    assert "Reported by Kernel Concurrency Sanitizer on:" in text
    assert {frame.function for frame in report.stack if "test_order" in frame.file} == {"load"}
    assert set(report.stacks) == {"access", "conflicting write"}


def test_a_free_races_with_a_use():
    def program(k):
        box = Box.at(kzalloc(64, GFP_KERNEL))
        k.spawn(load_once, box, cpu=0)
        k.spawn(kfree, box, cpu=1)
        k.join()

    run = attempt_of(program)(Strategy())
    assert run.failure == {"data-race"}
    assert run.reports[0].headline.startswith("BUG: KCSAN: assert: race in ")


def test_a_reference_count_orders_the_last_use_before_the_free():
    class Counted(Struct):
        ref: refcount.refcount_t
        uses: u32

    def program(k):
        obj = Counted.at(kzalloc(64, GFP_KERNEL))
        refcount.refcount_set(obj.ref, 2)

        def put(member):
            WRITE_ONCE(obj, member, 1)
            if refcount.refcount_dec_and_test(obj.ref):
                kfree(obj)

        k.spawn(put, "uses", cpu=0)
        k.spawn(put, "uses", cpu=1)
        k.join()

    assert explore(program, strategy="exhaustive").failed is None


# -- sequence counters, bits, RCU lists, SRCU ---------------------------------------------------------------


class Shared(Struct):
    bits: u64
    seq: seqlock_t
    low: u32
    high: u32
    head: list_head


def shared(k):
    s = Shared.at(kzalloc(128, GFP_KERNEL))
    seqlock_init(s.seq)
    INIT_LIST_HEAD(s.head)
    return s


def both(first, second, strategy="random"):
    """Return what goes wrong with two tasks that work on one Shared."""

    def program(k):
        s = shared(k)
        k.spawn(first, s, cpu=0)
        k.spawn(second, s, cpu=1)
        k.join()
        kfree(s)

    result = explore(program, strategy=strategy, runs=60)
    return set(result.failed.failure) if result.failed is not None else set()


def write_under_seqlock(s):
    write_seqlock(s.seq)
    s.low += 1
    s.high += 1
    write_sequnlock(s.seq)


def test_readers_that_try_again_may_race():
    def read(s):
        while True:
            start = read_seqbegin(s.seq)
            low, high = s.low, s.high
            if not read_seqretry(s.seq, start):
                break
        assert low == high

    assert both(write_under_seqlock, read) == set()
    assert both(write_under_seqlock, write_under_seqlock) == set()
    assert both(write_under_seqlock, lambda s: s.low) == {"data-race"}


def test_bits_change_in_one_step():
    def atomic_bit(s):
        set_bit(1, addressof_bits(s))

    def other_atomic_bit(s):
        set_bit(2, addressof_bits(s))

    assert both(atomic_bit, other_atomic_bit) == set()
    assert both(atomic_bit, lambda s: bitops.__set_bit(2, addressof_bits(s))) == {"data-race"}


def addressof_bits(s):
    return addressof(s) + offsetof(Shared, "bits")


def test_a_bit_is_a_lock():
    def locked(s):
        while bitops.test_and_set_bit_lock(0, addressof_bits(s)):
            cpu_relax()
        s.low += 1
        clear_bit_unlock(0, addressof_bits(s))

    assert both(locked, locked) == set()


def test_a_list_for_rcu_readers():
    class Node(Struct):
        link: list_head
        value: u32

    def add(s):
        node = Node.at(kzalloc(64, GFP_KERNEL))
        node.value = 7
        list_add_rcu(node.link, s.head)

    def read(s):
        rcu_read_lock()
        values = [node.value for node in list_for_each_entry_rcu(s.head, Node, "link")]
        rcu_read_unlock()
        assert values in ([], [7])

    def program(k):
        s = shared(k)
        k.spawn(add, s, cpu=0)
        k.spawn(read, s, cpu=1)
        k.join()
        (node,) = list_for_each_entry(s.head, Node, "link")
        list_del(node.link)
        kfree(node)
        kfree(s)

    for strategy in ("pct", "random"):
        assert explore(program, strategy=strategy, runs=60).failed is None


def test_srcu_orders_as_rcu_does():
    srcu = DEFINE_SRCU("srcu")

    def program(k):
        s = shared(k)
        published = [s]

        def read():
            idx = srcu_read_lock(srcu)
            if published:
                assert published[0].low == 0
            srcu_read_unlock(srcu, idx)

        def free():
            published.clear()
            synchronize_srcu(srcu)
            kfree(s)

        k.spawn(read, cpu=0)
        k.spawn(free, cpu=1)
        k.join()

    for strategy in ("pct", "random"):
        assert explore(program, strategy=strategy, runs=60).failed is None
