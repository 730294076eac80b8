"""dma-debug: every mapping is remembered, and every call that ends or syncs one is held against it (``kernel/dma/debug.c``).

The texts are the kernel's. It shows the first error only, unless told otherwise; here each is a finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.sanitizers.describe import object_info, stack_lines
from kmock.sanitizers.dma_entries import Entries, Ref
from kmock.sanitizers.dma_entry import (
    COHERENT,
    DIRECTIONS,
    DMA_ATTR_NO_WARN,
    DMA_ATTR_SKIP_CPU_SYNC,
    DMA_BIDIRECTIONAL,
    DMA_FROM_DEVICE,
    DMA_MAPPING_ERROR,
    DMA_TO_DEVICE,
    MAP_ERR_CHECKED,
    MAP_ERR_NOT_CHECKED,
    SG,
    TYPES,
    Mapping,
)
from kmock.sanitizers.object import SCAN_HELD
from kmock.stack import capture_ten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kmock.machine import Kernel
    from kmock.report import Report

PREALLOC_ENTRIES: Final = 1 << 16
DYNAMIC_ENTRIES: Final = 32
"""Entries in a page."""
MAX_OVERLAP: Final = 7
_CACHELINE: Final = 6
# Attributes that the call which ends a mapping may leave out, or add. That it syncs what nobody synced before may not be.
_FREE_ATTRS: Final = DMA_ATTR_SKIP_CPU_SYNC | DMA_ATTR_NO_WARN
_FILE: Final = "kernel/dma/debug.c"


class DmaDebug(Entries):
    """The mappings of one machine, and what its dma-debug knows to complain of."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        config = kernel.config
        self.disabled = not config.dma_debug or (config.boot_arg("dma_debug") or "").startswith("off")
        self.driver_filter = config.boot_arg("dma_debug_driver") or ""
        asked = config.boot_arg("dma_debug_entries") or ""
        self.prealloc = int(asked, 0) if asked.isdigit() else PREALLOC_ENTRIES
        self.nr_total_entries = -(-self.prealloc // DYNAMIC_ENTRIES) * DYNAMIC_ENTRIES
        self.num_free_entries = self.min_free_entries = self.nr_total_entries
        self.error_count = 0
        self.all_errors = 0
        self.num_errors = 1
        self._lines: dict[int, int] = {}
        """By the number of the first cacheline, how many more mappings begin there that the device may write."""

    # -- the mappings -----------------------------------------------------------------------------

    def add(self, m: Mapping) -> None:
        """``add_dma_entry()``."""
        self.insert(m)
        if not self.num_free_entries:
            self._grow()
        self.num_free_entries -= 1
        self.min_free_entries = min(self.min_free_entries, self.num_free_entries)
        if m.direction != DMA_TO_DEVICE:
            self._occupy(m)

    def remove(self, m: Mapping) -> None:
        """``hash_bucket_del()`` and ``dma_entry_free()``."""
        self.delete(m)
        m.unmapped = capture_ten(2)
        self.num_free_entries += 1
        if m.direction != DMA_TO_DEVICE:
            line = m.phys >> _CACHELINE
            self._lines[line] -= 1
            if self._lines[line] < 0:
                del self._lines[line]

    def _grow(self) -> None:
        self.num_free_entries += DYNAMIC_ENTRIES
        self.nr_total_entries += DYNAMIC_ENTRIES
        if not self.disabled and self.nr_total_entries % self.prealloc < DYNAMIC_ENTRIES:
            n = self.nr_total_entries
            self.kernel.log.write(f"DMA-API: dma_debug_entry pool grown to {n} ({n // self.prealloc}00%)")

    def _occupy(self, m: Mapping) -> None:
        # active_cacheline_insert()
        line = m.phys >> _CACHELINE
        overlap = self._lines.get(line)
        self._lines[line] = overlap = 0 if overlap is None else overlap + 1
        if not overlap or self.disabled:
            return
        if overlap > MAX_OVERLAP:
            self._too_many(m, line)
        if not m.attrs & DMA_ATTR_SKIP_CPU_SYNC:
            text = "cacheline tracking EEXIST, overlapping mappings aren't supported"
            self.complain("dma-map-overlap", 571, "add_dma_entry", m.dev, text, m, key=("overlap", line))

    def _too_many(self, m: Mapping, line: int) -> None:
        k = self.kernel
        if "dma-overlap" in k.once:
            return
        k.once.add("dma-overlap")
        text = f"DMA-API: exceeded {MAX_OVERLAP} overlapping mappings of cacheline {line:#018x}"
        k.warn("dma-map-leak-runtime", f"{_FILE}:471", "add_dma_entry", text, stacks={"access": m.stack})

    # -- calls ------------------------------------------------------------------------------------

    def mapping_error(self, dev: Any, dma: int) -> None:
        """``debug_dma_mapping_error()``: the driver asked whether the handle is one."""
        for m in self.at(dma):
            if m.dev is dev and m.checked == MAP_ERR_NOT_CHECKED:
                m.checked = MAP_ERR_CHECKED
                return

    def check_unmap(self, ref: Ref, call: object = None) -> Mapping | None:
        """``check_unmap()``: end the mapping that ``ref`` means, and say what is wrong about it.

        ``call`` is one object for all entries of a scatterlist, so that a mistake is told once for the list.
        """
        m = self.exact(ref)
        if m is None:
            if not self.disabled:
                self._unknown(ref, call)
            return None
        if not self.disabled:
            for kind, line, text, lines in self._unmap_errors(m, ref):
                self.complain(kind, line, "check_unmap", ref.dev, text, m, lines, key=(call or m, kind))
        skipped = m.attrs & ~ref.attrs & DMA_ATTR_SKIP_CPU_SYNC and not m.synced
        if skipped or (m.attrs ^ ref.attrs) & ~_FREE_ATTRS:
            self.own("dma-unmap-attrs", m, [f"mapped with attributes {m.attrs:#x}, unmapped with {ref.attrs:#x}"])
        self.remove(m)
        return m

    def _unknown(self, ref: Ref, call: object) -> None:
        if ref.dma == DMA_MAPPING_ERROR:
            text = "device driver tries to free an invalid DMA memory address"
            self.complain(
                ref.unknown or "dma-unmap-error",
                970,
                "check_unmap",
                ref.dev,
                text,
                key=(call, "error") if call else None,
            )
            return
        text = (
            "device driver tries to free DMA memory it has not allocated "
            f"[device address={ref.dma:#018x}] [size={ref.size} bytes]"
        )
        other = next(iter(self.at(ref.dma)), None)
        kind = "dma-unmap-device" if other is not None and other.dev is not ref.dev else "dma-unmap-unknown"
        kind = ref.unknown or kind
        past = self.past.get((ref.dev, ref.dma))
        stacks = {"mapped": other.stack} if other is not None else {}
        if other is None and past is not None:
            stacks = {"mapped": past.stack, "unmapped": past.unmapped}
        self.complain(kind, 974, "check_unmap", ref.dev, text, stacks=stacks, key=(call or past or ref, "unknown"))

    def _unmap_errors(self, m: Mapping, ref: Ref) -> Iterator[tuple[str, int, str, list[str]]]:
        at = f"[device address={ref.dma:#018x}]"
        size = f"{at} [size={ref.size} bytes]"
        frees = "device driver frees DMA"
        count = (
            f"{frees} sg list with different entry count [map count={m.nents}] [unmap count={ref.nents}]"
            if ref.nents and ref.type == SG and ref.nents != m.nents
            else ""
        )
        if ref.size != m.size:
            text = f"{frees} memory with different size {at} [map size={m.size} bytes] [unmap size={ref.size} bytes]"
            yield "dma-unmap-size", 984, text, []
        if ref.type != m.type:
            text = (
                f"{frees} memory with wrong function {size} [mapped as {TYPES[m.type]}] [unmapped as {TYPES[ref.type]}]"
            )
            # The count is wrong because the function is.
            more = [f"DMA-API: {self.kernel.dma.title(ref.dev)}: {count}"] if count else []
            yield "dma-unmap-function", 992, text, more
        elif m.type == COHERENT and ref.phys != m.phys:
            text = (
                f"{frees} memory with different CPU address {size} "
                f"[cpu alloc address={m.phys:#018x}] [cpu free address={ref.phys:#018x}]"
            )
            yield "dma-free-cpu-addr", 1000, text, []
        if count and ref.type == m.type:
            yield "dma-unmap-sg-count", 1012, count, []
        if ref.direction != m.direction:
            names = f"[mapped with {DIRECTIONS[m.direction]}] [unmapped with {DIRECTIONS[ref.direction]}]"
            yield "dma-unmap-direction", 1023, f"{frees} memory with different direction {size} {names}", []
        if m.checked == MAP_ERR_NOT_CHECKED:
            text = f"device driver failed to check map error{size} [mapped as {TYPES[m.type]}]"
            yield "dma-map-error-unchecked", 1038, text, []

    # -- sync -------------------------------------------------------------------------------------

    def check_sync(self, ref: Ref, *, to_cpu: bool, call: object = None) -> Mapping | None:
        """``check_sync()``: return the mapping that ``ref`` lies in, and say what is wrong about syncing it."""
        m = self.containing(ref)
        if self.disabled:
            return m
        if m is None:
            self._sync_unknown(ref, call)
            return None
        if m.direction != DMA_BIDIRECTIONAL:
            self._sync_direction(m, ref, call, to_cpu=to_cpu)
        if ref.nents and ref.type == SG and ref.nents != m.nents and m.direction != DMA_BIDIRECTIONAL:
            text = (
                "device driver syncs DMA sg list with different entry count "
                f"[map count={m.nents}] [sync count={ref.nents}]"
            )
            self.complain("dma-sync-sg-count", 1156, "check_sync", ref.dev, text, m, key=(call or m, "count"))
        return m

    def _sync_unknown(self, ref: Ref, call: object) -> None:
        text = (
            "device driver tries to sync DMA memory it has not allocated "
            f"[device address={ref.dma:#018x}] [size={ref.size} bytes]"
        )
        around = next(iter(self.over(ref.dev, ref.dma)), None)
        past = self.past.get((ref.dev, ref.dma))
        stacks = {"mapped": around.stack} if around is not None else {}
        if around is None and past is not None:
            stacks = {"mapped": past.stack, "unmapped": past.unmapped}
        kind = "dma-sync-range" if around is not None else "dma-sync-unknown"
        self.complain(kind, 1104, "check_sync", ref.dev, text, stacks=stacks, key=(call or ref, "unknown"))

    def _sync_direction(self, m: Mapping, ref: Ref, call: object, *, to_cpu: bool) -> None:
        names = f"[mapped with {DIRECTIONS[m.direction]}] [synced with {DIRECTIONS[ref.direction]}]"
        at = f"[device address={ref.dma:#018x}] [size={m.size} bytes] {names}"
        said = []
        if ref.direction != m.direction:
            said.append(("dma-sync-direction", 1125, f"device driver syncs DMA memory with different direction {at}"))
        if to_cpu and m.direction != DMA_FROM_DEVICE and ref.direction != DMA_TO_DEVICE:
            text = f"device driver syncs device read-only DMA memory for cpu {at}"
            said.append(("dma-sync-pointless", 1136, text))
        if not to_cpu and m.direction != DMA_TO_DEVICE and ref.direction != DMA_FROM_DEVICE:
            text = f"device driver syncs device write-only DMA memory to device {at}"
            said.append(("dma-sync-pointless", 1146, text))
        if said:
            _, line, text = said[0]
            # The side that gets no data says more than that the direction is another.
            kind = said[-1][0]
            more = [f"DMA-API: {self.kernel.dma.title(ref.dev)}: {also}" for _, _, also in said[1:]]
            self.complain(kind, line, "check_sync", ref.dev, text, m, more, key=(call or m, "direction"))

    # -- what is left -----------------------------------------------------------------------------

    def unbound(self, dev: Any) -> None:
        """``dma_debug_device_change()``: the device lost its driver; report the mappings that it still has."""
        self._report_left(dev, self.of_device(dev))

    def end_call(self, began: int) -> None:
        """The test's call is over: report the mappings that were made since allocation ``began``."""
        left: dict[Any, list[Mapping]] = {}
        for m in self:
            if m.seq > began:
                left.setdefault(m.dev, []).append(m)
        for dev, mappings in left.items():
            self._report_left(dev, mappings)

    def _report_left(self, dev: Any, left: list[Mapping]) -> None:
        if not self.kernel.config.dma_debug:
            return
        left = [m for m in left if not self._explained(m)]
        for kind, group in (
            ("dma-coherent-leak", [m for m in left if m.type == COHERENT]),
            ("dma-map-leak", [m for m in left if m.type != COHERENT]),
        ):
            if group:
                self._left(kind, dev, group, len(left))

    def _explained(self, m: Mapping) -> bool:
        """Whether it has been told why the mapping is left, or that it is held for the driver until it goes."""
        find = self.kernel.reports.find
        if find((m, "leak")) or find((m, "freed")):
            return True
        return m.type == COHERENT and m.owner is not None and (not m.owner.live or bool(m.owner.scan & SCAN_HELD))

    def _left(self, kind: str, dev: Any, group: list[Mapping], count: int) -> None:
        k = self.kernel
        m = group[-1]
        details = (
            f"One of leaked entries details: [device address={m.dma:#018x}] [size={m.size} bytes] "
            f"[mapped with {DIRECTIONS[m.direction]}] [mapped as {TYPES[m.type]}]"
        )
        for one in group:
            if one.type == COHERENT and one.owner is not None:
                k.census.told(one.owner)
        # The kernel watches some buses only, of which this device's may be none.
        watched = dev.bus is not None and dev.bus.name == "pci" and not self.disabled
        headline = f"BUG: kmock: {kind} in {k.symbol(m.stack)}"
        text = f"DMA-API: {k.dma.title(dev)}: device driver has pending DMA allocations while released from device"
        report = k.report(
            kind,
            f"{text} [count={count}]" if watched else headline,
            lines=[details, "DMA-API: Mapped at:", *stack_lines(m.stack)],
            stacks={"access": m.stack},
            hint=f"call {m.undo}() before the driver lets go of the device",
            attributes={"count": len(group)},
            key=(dev, kind, m.seq),
        )
        if report is not None:
            k.reports.also(report, *((one, what) for one in group for what in ("leak", "freed", "ownership")))

    # -- saying it --------------------------------------------------------------------------------

    def complain(
        self,
        kind: str,
        line: int,
        function: str,
        dev: Any,
        text: str,
        m: Mapping | None = None,
        lines: Iterable[str] = (),
        *,
        stacks: dict[str, Any] | None = None,
        key: object = None,
    ) -> Report | None:
        """``err_printk()``: dma-debug's own words, and where the mapping was made."""
        k = self.kernel
        self.error_count += 1
        if self.driver_filter and (dev is None or dev.driver is None or dev.driver.name != self.driver_filter):
            return None
        below = list(lines)
        if m is not None:
            below += ["DMA-API: Mapped at:", *stack_lines(m.stack)]
            stacks = {"mapped": m.stack, **(stacks or {})}
        return k.warn(
            kind,
            f"{_FILE}:{line}",
            function,
            f"DMA-API: {k.dma.title(dev)}: {text}",
            lines=below,
            stacks={"access": k.capture(), **(stacks or {})},
            object=object_info(k, m.owner, m.owner.addr) if m is not None and m.owner is not None else None,
            key=key,
        )

    def own(
        self, kind: str, m: Mapping, lines: list[str], *, key: object = None, stacks: dict[str, Any] | None = None
    ) -> Report | None:
        """Report what no kernel notices, about mapping ``m``; ``stacks`` may give another place than here."""
        k = self.kernel
        if not k.config.dma_debug:
            return None
        stacks = {"access": k.capture(), **(stacks or {}), "mapped": m.stack}
        if m.unmapped:
            stacks["unmapped"] = m.unmapped
        return k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}",
            lines=[*lines, f"{k.dma.title(m.dev)}: {m.what}"],
            stacks=stacks,
            object=object_info(k, m.owner, m.owner.addr) if m.owner is not None else None,
            key=key if key is not None else (m, kind),
        )
