"""DMA pools against a plain model: pages of block offsets, each with a stack of free ones."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import kmock
from kmock.linux.dma_mapping import DMA_BIT_MASK
from kmock.linux.dmapool import dma_pool_alloc, dma_pool_create, dma_pool_destroy, dma_pool_free, dma_pool_zalloc
from kmock.linux.gfp import GFP_KERNEL

PAGE = 4096


def offsets(size, align, boundary):
    """Where blocks lie, told differently: each as early as possible, none touching the end of its boundary's stretch."""
    stride = -(-max(size, 4) // align) * align
    span = boundary or PAGE
    out = [0]
    while True:
        at = out[-1] + stride
        if at % span + stride >= span or at // span != out[-1] // span:
            at = (out[-1] // span + 1) * span
        if at >= PAGE:
            return out
        out.append(at)


class Pool(RuleBasedStateMachine):
    """The model: ``pages`` youngest first, each a stack of free offsets; ``out`` the blocks that are taken."""

    @initialize(
        size=st.sampled_from([4, 20, 64, 100, 500, 1000, 2048, 4096]),
        align=st.sampled_from([1, 4, 16, 32, 256]),
        boundary=st.sampled_from([0, 4096]),
        iommu=st.booleans(),
        kasan=st.booleans(),
    )
    def create(self, size, align, boundary, iommu, kasan):
        self.k = kmock.boot(iommu=iommu, kasan=kasan)
        self.k.__enter__()
        self.dev = self.k.device("ehci", dma_mask=DMA_BIT_MASK(32))
        self.size = size
        self.pool = dma_pool_create("qtd", self.dev, size, align, boundary)
        self.starts = offsets(size, align, boundary)
        self.pages = []
        self.out = []

    @rule(zero=st.booleans())
    def take(self, zero):
        page = next((page for page in self.pages if page["free"]), None)
        if page is None:
            page = {"free": self.starts[::-1]}
            self.pages.insert(0, page)
        v, d = (dma_pool_zalloc if zero else dma_pool_alloc)(self.pool, GFP_KERNEL)
        offset = page["free"].pop()
        page.setdefault("cpu", int(v) - offset)
        page.setdefault("bus", d - offset)
        assert (int(v), d) == (page["cpu"] + offset, page["bus"] + offset)
        if zero:
            assert v[0 : self.size] == bytes(self.size)
        self.out.append((page, offset, v, d))
        v[0 : self.size] = (offset & 0xFF).to_bytes(1, "little") * self.size

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 200))
    def give(self, which):
        page, offset, v, d = self.out.pop(which % len(self.out))
        assert v[0 : self.size] == (offset & 0xFF).to_bytes(1, "little") * self.size
        dma_pool_free(self.pool, v, d)
        page["free"].append(offset)

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 200))
    def device_looks(self, which):
        _, offset, v, d = self.out[which % len(self.out)]
        assert self.k.dma_read(self.dev, d, self.size) == (offset & 0xFF).to_bytes(1, "little") * self.size
        self.k.dma_write(self.dev, d, v[0 : self.size])

    @invariant()
    def agrees(self):
        if not hasattr(self, "pool"):
            return
        assert [page.in_use for page in self.pool.pages] == [len(self.starts) - len(p["free"]) for p in self.pages]
        assert list(self.k.reports) == []

    def teardown(self):
        if not hasattr(self, "pool"):
            return
        for _, _, v, d in self.out:
            dma_pool_free(self.pool, v, d)
        dma_pool_destroy(self.pool)
        self.k.shutdown()
        assert [str(r) for r in self.k.reports] == []


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
