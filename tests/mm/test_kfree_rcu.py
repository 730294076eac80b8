"""kfree_rcu(): when the memory goes, and what it is until then."""

from __future__ import annotations

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.rcupdate import kfree_rcu, rcu_barrier, rcu_read_lock, rcu_read_unlock
from kmock.linux.slab import kfree, kmalloc, kvmalloc


def test_memory_stays_for_five_seconds_and_a_grace_period():
    with kmock.boot() as k:
        p = kmalloc(64, GFP_KERNEL)
        p[0] = 7
        rcu_read_lock()
        kfree_rcu(p)
        assert p[0] == 7
        rcu_read_unlock()
        rcu_barrier()
        assert p.origin.live
        k.advance(6)
        assert not p.origin.live
        assert not k.reports


def test_stack_of_the_free_is_that_of_the_call():
    with kmock.boot() as k:
        p = kmalloc(64, GFP_KERNEL)
        kfree_rcu(p)
        k.advance(6)
        with k.expect("slab-use-after-free-read") as found:
            p[0]
        assert any(
            frame.function.startswith("test_stack") for frame in kmock.stack.user_frames(found[0].stacks["freed"])
        )


def test_freed_once_more_while_it_waits():
    with kmock.boot() as k:
        p = kmalloc(64, GFP_KERNEL)
        kfree_rcu(p)
        with k.expect("slab-double-free", count=1):
            kfree(p)
        k.advance(6)


def test_vmalloc_memory_goes_too():
    with kmock.boot() as k:
        p = kvmalloc(8 << 20, GFP_KERNEL)
        kfree_rcu(p)
        k.advance(6)
        assert not p.origin.live
        assert not k.reports


def test_what_still_waits_at_the_end_is_no_leak():
    with kmock.boot() as k:
        kfree_rcu(kmalloc(64, GFP_KERNEL))
        k.shutdown()
        assert not k.reports
