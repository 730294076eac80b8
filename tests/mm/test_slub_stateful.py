"""The slab allocator against a plain model: no overlap, bytes keep their values, everything comes back."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

import kmock
from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL
from kmock.linux.slab import (
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_shrink,
    krealloc,
    kzalloc,
)

BUILDS = (
    {},
    {"kasan": False},
    {"kasan": False, "cmdline": "slub_debug=FZPU"},
    {"cpus": 4, "nodes": 2, "memory": "128M"},
)


class Slabs(RuleBasedStateMachine):
    """Objects by their first address, each with the bytes that were stored in it."""

    objects = Bundle("objects")
    cached = Bundle("cached")

    @initialize(build=st.sampled_from(BUILDS))
    def boot(self, build):
        self.k = kmock.boot(**build)
        self.model = {}
        self.cache = kmem_cache_create("model", 200, 0, 0, None)
        self.made = 0

    def _fill(self, p, size):
        self.made += 1
        data = bytes((self.made * 31 + i) & 0xFF for i in range(min(size, 64)))
        p[0 : len(data)] = data
        self.model[int(p)] = (p, size, data)
        return p

    @rule(
        target=objects, size=st.integers(1, 20000), gfp=st.sampled_from((GFP_KERNEL, GFP_ATOMIC)), cpu=st.integers(0, 1)
    )
    def kmalloc(self, size, gfp, cpu):
        with self.k.on_cpu(cpu):
            p = kmalloc(size, gfp)
        return self._fill(p, size)

    @rule(target=objects, size=st.integers(1, 300))
    def kzalloc(self, size):
        p = kzalloc(size, GFP_KERNEL)
        assert p[0:size] == bytes(size)
        return self._fill(p, size)

    @rule(target=objects, p=consumes(objects), size=st.integers(1, 9000))
    def krealloc(self, p, size):
        _, old, data = self.model.pop(int(p))
        kept = data[: min(old, size)]
        q = krealloc(p, size, GFP_KERNEL)
        assert q[0 : len(kept)] == kept
        return self._fill(q, size)

    @rule(p=consumes(objects), cpu=st.integers(0, 1))
    def kfree(self, p, cpu):
        del self.model[int(p)]
        with self.k.on_cpu(cpu):
            kfree(p)

    @rule(target=cached, n=st.integers(1, 40))
    def take(self, n):
        return multiple(*(self._fill(kmem_cache_alloc(self.cache, GFP_KERNEL), 200) for _ in range(n)))

    @rule(p=consumes(cached), cpu=st.integers(0, 1))
    def give(self, p, cpu):
        del self.model[int(p)]
        with self.k.on_cpu(cpu):
            kmem_cache_free(self.cache, p)

    @rule()
    def shrink(self):
        live = sum(1 for _ in self.cache.live())
        assert kmem_cache_shrink(self.cache) == (live > 0)

    @invariant()
    def objects_lie_apart_and_keep_their_bytes(self):
        end = 0
        for address in sorted(self.model):
            p, size, data = self.model[address]
            assert address >= end
            end = address + size
            assert p[0 : len(data)] == data

    @invariant()
    def counters_agree(self):
        line = next(x for x in self.k.read_file("/proc/slabinfo").splitlines() if x.startswith("model "))
        active, total, _, _, _ = map(int, line.split()[1:6])
        live = sum(1 for p, size, _ in self.model.values() if size == 200 and p.origin.cache_name == "model")
        assert live == sum(1 for _ in self.cache.live())
        assert live <= active <= total == sum(slab.objects for slab in self.cache.slabs)

    @invariant()
    def nothing_is_reported(self):
        assert [str(r) for r in self.k.reports] == []

    def teardown(self):
        for p, _, _ in self.model.values():
            if p.origin.area == "slab" and getattr(p.origin, "cache_name", "") == "model":
                kmem_cache_free(self.cache, p)
            else:
                kfree(p)
        kmem_cache_destroy(self.cache)
        assert not self.cache.slabs
        for cache in self.k.slab.caches:
            assert kmem_cache_shrink(cache) == (any(cache.live()))
        self.k.shutdown()
        assert [str(r) for r in self.k.reports] == []


Slabs.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestSlabs = Slabs.TestCase
