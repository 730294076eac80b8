"""What a request's flags mean: its zones, in order, and its migrate type (``prepare_alloc_pages()``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.buddy import MIGRATE_PCPTYPES, MIGRATE_UNMOVABLE
from kmock.mm.freelist import ALLOC_NOFRAGMENT
from kmock.mm.gfp import __GFP_THISNODE as GFP_THISNODE
from kmock.mm.gfp import (
    GFP_MOVABLE_MASK,
    GFP_MOVABLE_SHIFT,
    GFP_ZONE_BAD,
    GFP_ZONEMASK,
)

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.zones import Zone, Zones

# GFP_ZONE_TABLE (include/linux/gfp.h), by what the zone modifiers ask for; what a machine lacks is NORMAL.
_ZONE_OF_BITS: Final = {0x1: "DMA", 0x9: "DMA", 0x2: "HighMem", 0x4: "DMA32", 0xC: "DMA32", 0xA: "Movable"}
_NODE_SHIFT: Final = 6


class AllocContext:
    """What one kind of request means: the zones it may use in order, the highest of them, its migrate type."""

    __slots__ = ("first", "highest", "migratetype", "nofragment", "zones")

    def __init__(self, zones: tuple[Zone, ...], highest: int, migratetype: int, *, nofragment: bool) -> None:
        self.zones = zones
        self.first = zones[0] if zones else None
        self.highest = highest
        self.migratetype = migratetype
        self.nofragment = ALLOC_NOFRAGMENT if nofragment else 0


class AllocContexts(dict[int, AllocContext]):
    """Contexts by node and those flags that decide: ``nid << 6 | THISNODE << 5 | mobility and zone bits``."""

    def __init__(self, kernel: Kernel, zones: Zones) -> None:
        super().__init__()
        self.kernel = kernel
        self.zones = zones

    def make(self, gfp: int, key: int) -> AllocContext:
        """Work out the context of ``gfp``; contradictory flags are reported each time."""
        bits = gfp & GFP_ZONEMASK
        bad = bits in GFP_ZONE_BAD
        if bad:
            self._bad_zone(bits)
            bits = 0x1
        migratetype = (gfp & GFP_MOVABLE_MASK) >> GFP_MOVABLE_SHIFT
        if migratetype >= MIGRATE_PCPTYPES:
            bad = True
            self._bad_mobility()
            migratetype = MIGRATE_UNMOVABLE
        zones = self.zones
        if not zones.all:
            self.kernel.die("alloc-too-early", "BUG: kernel NULL pointer dereference, address: 0000000000000000")
        highest = zones.names.index(_zone_name(bits, zones.names))
        nid = key >> _NODE_SHIFT
        zonelist = zones.zonelist(nid, highest, thisnode=bool(gfp & GFP_THISNODE))
        ac = AllocContext(zonelist, highest, migratetype, nofragment=self._spreads(zonelist, nid))
        if not bad:
            self[key] = ac
        return ac

    def _spreads(self, zonelist: tuple[Zone, ...], nid: int) -> bool:
        """``alloc_flags_nofragment()``: whether DMA32 is tried before types are mixed in NORMAL."""
        zones = self.zones
        if not zonelist or zonelist[0].name != "Normal" or "DMA32" not in zones.names:
            return False
        return len(zones.nodes) == 1 or zones.names.index("DMA32") in zones.nodes[nid]

    def _bad_zone(self, bits: int) -> None:
        k = self.kernel
        if k.config.debug_vm:
            k.bug("gfp-contradictory", "include/linux/gfp.h:136")
        k.report("gfp-contradictory", f"BUG: kmock: gfp-contradictory in {k.symbol(k.capture())}", key=bits)

    def _bad_mobility(self) -> None:
        k = self.kernel
        if k.config.debug_vm:
            k.warn("gfp-contradictory", "include/linux/gfp.h:18", "prepare_alloc_pages", key="mobility")
        else:
            headline = f"BUG: kmock: gfp-contradictory in {k.symbol(k.capture())}"
            k.report("gfp-contradictory", headline, key="mobility")


def _zone_name(bits: int, names: tuple[str, ...]) -> str:
    name = _ZONE_OF_BITS.get(bits, "Normal")
    return name if name in names else "Normal"
