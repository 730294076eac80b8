"""Memory pools against a plain model: a stack of elements, and an allocator that is told when to fail."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import kmock
from kmock.linux.gfp import GFP_ATOMIC, GFP_NOIO
from kmock.linux.mempool import (
    mempool_alloc,
    mempool_create,
    mempool_destroy,
    mempool_free,
    mempool_resize,
)
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import NULL


class Pool(RuleBasedStateMachine):
    """The model: ``reserve`` is the stack of waiting elements, ``out`` what was taken, ``min_nr`` the wanted depth."""

    def __init__(self):
        super().__init__()
        self.k = kmock.boot()
        self.k.__enter__()
        self.dry = False
        self.last = None
        self.freed = []
        self.out = []

    @initialize(n=st.integers(0, 4))
    def create(self, n):
        self.reserve = []
        self.min_nr = n
        self.pool = mempool_create(n, self.allocate, self.release, NULL)
        self.reserve = [int(self.pool.elements.ptr[i]) for i in range(n)]

    def allocate(self, gfp, data):
        self.last = None
        if not self.dry:
            self.last = kmalloc(32, gfp)
        return self.last if self.last is not None else NULL

    def release(self, element, data):
        self.freed.append(int(element))
        kfree(element)

    @rule(dry=st.booleans())
    def weather(self, dry):
        self.dry = dry

    @rule(gfp=st.sampled_from([GFP_ATOMIC, GFP_NOIO]))
    def take(self, gfp):
        if self.dry and not self.reserve and gfp == GFP_NOIO:
            return  # it would sleep for ever
        element = mempool_alloc(self.pool, gfp)
        if not self.dry:
            assert element == self.last
        elif self.reserve:
            assert int(element) == self.reserve.pop()
        else:
            assert not element
            return
        assert all(element != other for other in self.out)
        element.u64[0] = int(element)
        self.out.append(element)

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 50))
    def give(self, which):
        element = self.out.pop(which % len(self.out))
        assert element.u64[0] == int(element)
        self.freed.clear()
        mempool_free(element, self.pool)
        if len(self.reserve) < self.min_nr:
            self.reserve.append(int(element))
            assert self.freed == []
        else:
            assert self.freed == [int(element)]

    @rule(n=st.integers(1, 6))
    def resize(self, n):
        self.freed.clear()
        assert mempool_resize(self.pool, n) == 0
        if n <= self.min_nr:
            gone = self.reserve[n:]
            assert self.freed == gone[::-1]
            self.reserve = self.reserve[:n]
        else:
            filled = n if not self.dry else len(self.reserve)
            self.reserve += [int(self.pool.elements.ptr[i]) for i in range(len(self.reserve), filled)]
        self.min_nr = n

    @invariant()
    def agrees(self):
        if not hasattr(self, "pool"):
            return
        assert (self.pool.min_nr, self.pool.curr_nr) == (self.min_nr, len(self.reserve))
        assert [int(self.pool.elements.ptr[i]) for i in range(len(self.reserve))] == self.reserve
        assert list(self.k.reports) == []

    def teardown(self):
        for element in self.out:
            mempool_free(element, self.pool)
        self.out.clear()
        mempool_destroy(self.pool)
        self.k.shutdown()
        assert [str(r) for r in self.k.reports] == []


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
