"""Mapping scatterlists (``kernel/dma/mapping.c``, ``kernel/dma/debug.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.dma.direct import sizes
from kmock.dma.iommu import IommuOps
from kmock.dma.scatterlist import first_of, page_of, walk
from kmock.sanitizers.dma_entries import Ref
from kmock.sanitizers.dma_entry import DMA_ATTR_SKIP_CPU_SYNC, DMA_MAPPING_ERROR, SG, Mapping, Piece

if TYPE_CHECKING:
    from kmock.dma.scatterlist import Sgl, scatterlist
    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation

_FILE: Final = "kernel/dma/mapping.c"

Made = tuple[int, int, tuple[Piece, ...], int]
"""A segment: the device's address, length, the memory behind it, and its bounce buffer, -1 for none."""


class ScatterGather:
    """Lists of one machine that are mapped."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def map(self, dev: device, sgl: Sgl, nents: int, direction: int, attrs: int) -> int:
        """``__dma_map_sg_attrs()``: how many segments the device has to take, or -errno."""
        k = self.kernel
        dma = k.dma
        dma.check_device(dev, begins=True)
        dma.check_direction(direction, 188)
        if not dma.has_mask(dev, 190, "__dma_map_sg_attrs"):
            return 0
        self._ready(sgl, nents)
        listed = list(walk(k, sgl, nents))
        looked_at = [self._look(dev, sg) for sg in listed]
        if dma.made_to_fail():
            made = None
        elif isinstance(dma.ops, IommuOps):
            made = self._iommu(dma.ops, dev, listed, direction)
        else:
            made = self._direct(dev, listed, looked_at, direction, attrs)
        first_of(sgl).failed = made is None
        if made is None:
            dma.failed_sg.add(dev)
            return -errno.EIO
        if not made:
            k.warn("dma-map-zero-length", f"{_FILE}:202", "__dma_map_sg_attrs")
            return -errno.EIO
        self._begin(dev, made, looked_at, (direction, attrs, nents))
        return len(made)

    def _begin(
        self,
        dev: device,
        made: list[Made],
        looked_at: list[tuple[Allocation | None, bool]],
        call: tuple[int, int, int],
    ) -> None:
        dma = self.kernel.dma
        direction, attrs, nents = call
        entry = 0
        for address, size, pieces, bounce in made:
            m = Mapping(dev, SG, address, size, direction, pieces, attrs)
            m.nents, m.total = nents, len(made)
            self._segment(dev, m)
            dma.begin(m, bounce, looked_at[entry][0])
            entry += len(pieces)

    def _ready(self, sgl: Sgl, nents: int) -> None:
        k = self.kernel
        first = first_of(sgl)
        if first.ready or any(sg.end for sg in first.array):
            return
        stack = k.capture()
        headline = f"BUG: kmock: dma-sg-uninit in {k.symbol(stack)}"
        lines = [f"a list of {nents} that was never initialised: call sg_init_table()"]
        k.report("dma-sg-uninit", headline, lines=lines, stacks={"access": stack}, key=(first, "uninit"))

    def _look(self, dev: device, sg: scatterlist) -> tuple[Allocation | None, bool]:
        page_of(self.kernel, sg)
        if sg.misplaced:
            return None, True
        return self.kernel.dma.vet.buffer(dev, sg.phys, sg.length)

    def _direct(
        self,
        dev: device,
        listed: list[scatterlist],
        looked_at: list[tuple[Allocation | None, bool]],
        direction: int,
        attrs: int,
    ) -> list[Made] | None:
        # dma_direct_map_sg(): all or nothing
        ops = self.kernel.dma.ops
        made: list[Made] = []
        for sg, (_, bad) in zip(listed, looked_at, strict=True):
            sg.dma_address, bounce = ops.map(dev, sg.phys, sg.length, direction, attrs, said=bad)
            if sg.dma_address == DMA_MAPPING_ERROR:
                for _, size, _, slot in made:
                    if slot >= 0:
                        self.kernel.dma.swiotlb.release(slot, size)
                return None
            sg.dma_length = sg.length
            made.append((sg.dma_address, sg.length, (Piece(0, sg.phys, sg.length),), bounce))
        return made

    @staticmethod
    def _iommu(ops: IommuOps, dev: device, listed: list[scatterlist], direction: int) -> list[Made] | None:
        segments = ops.map_sg(dev, [(sg.phys, sg.length) for sg in listed], direction)
        if segments is None:
            return None
        for i, sg in enumerate(listed):
            sg.dma_address, sg.dma_length = segments[i][:2] if i < len(segments) else (DMA_MAPPING_ERROR, 0)
        return [(address, size, pieces, -1) for address, size, pieces in segments]

    def _segment(self, dev: device, m: Mapping) -> None:
        """``check_sg_segment()``."""
        debug = self.kernel.dma.debug
        if debug.disabled:
            return
        longest, boundary = sizes(dev)
        if m.size > longest:
            text = f"mapping sg segment longer than device claims to support [len={m.size}] [max={longest}]"
            debug.complain("dma-sg-segment-too-long", 1177, "debug_dma_map_sg", dev, text)
        if (m.dma ^ m.end - 1) & ~boundary & (1 << 64) - 1:
            text = f"mapping sg segment across boundary [start={m.dma:#018x}] [end={m.end - 1:#018x}] [boundary={boundary:#018x}]"
            debug.complain("dma-sg-boundary", 1187, "debug_dma_map_sg", dev, text)

    def unmap(self, dev: device, sgl: Sgl, nents: int, direction: int, attrs: int) -> None:
        """``dma_unmap_sg_attrs()``: ``nents`` is what the list was mapped with, not what came back."""
        k = self.kernel
        k.dma.check_direction(direction, 285)
        k.dma.check_device(dev)
        call = object()
        total = 0
        unknown = "dma-map-sg-zero-unchecked" if first_of(sgl).failed else ""
        for i, sg in enumerate(walk(k, sgl, nents)):
            if total and i >= total:
                break
            ref = Ref(dev, SG, sg.dma_address, sg.dma_length, direction, nents, sg.phys, attrs, unknown)
            found = k.dma.debug.exact(ref)
            if not i:
                total = found.total if found is not None else 0
            if ref.size or found is not None or not i:
                m = k.dma.debug.check_unmap(ref, call)
                if m is not None:
                    k.dma.finish(m, direction, attrs)
        if total > nents:
            self._rest(dev, sgl, total, nents, direction, attrs)

    def _rest(self, dev: device, sgl: Sgl, total: int, nents: int, direction: int, attrs: int) -> None:
        """What a too small count leaves mapped has been told of by that."""
        k = self.kernel
        for i, sg in enumerate(walk(k, sgl, total)):
            m = k.dma.debug.exact(Ref(dev, SG, sg.dma_address, sg.dma_length, direction, total)) if i >= nents else None
            if m is not None:
                k.dma.debug.remove(m)
                k.dma.finish(m, direction, attrs | DMA_ATTR_SKIP_CPU_SYNC)

    def sync(self, dev: device, sgl: Sgl, nents: int, direction: int, *, to_cpu: bool) -> None:
        """``dma_sync_sg_for_cpu()`` and ``dma_sync_sg_for_device()``: ``nents`` is what the list was mapped with."""
        k = self.kernel
        dma = k.dma
        dma.check_direction(direction, 361 if to_cpu else 375)
        dma.check_device(dev)
        call = object()
        total = 0
        for i, sg in enumerate(walk(k, sgl, nents)):
            ref = Ref(dev, SG, sg.dma_address, sg.dma_length, direction, nents, sg.phys)
            if not i:
                found = dma.debug.exact(ref)
                total = found.total if found is not None else 1
            if i >= total:
                return
            m = dma.debug.check_sync(ref, to_cpu=to_cpu, call=call)
            if m is not None and to_cpu:
                dma.give_cpu(m, ref.dma - m.dma, ref.size, direction)
            elif m is not None:
                dma.give_device(m, ref.dma - m.dma, ref.size, direction)
