"""``dump_page()`` (``mm/debug.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.mm.buddy import MIGRATE_TYPES
from kmock.mm.page import FLAG_NAMES, PAGE_BUDDY_MAPCOUNT_VALUE, Page, PG_head, PG_slab

if TYPE_CHECKING:
    from collections.abc import Iterable

ZONES_PGSHIFT: Final = 56
NODES_PGSHIFT: Final = 58
_LIST_POISON: Final = (0xDEAD_0000_0000_0100, 0xDEAD_0000_0000_0122)
# The order of include/trace/events/mmflags.h.
_FLAG_ORDER: Final = (0, 7, 8, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)


def buddy_order(page: Page) -> int:
    """Return the order of the free block that ``page`` is the first page of, -1 if it is none (``PageBuddy``)."""
    place = page.zone.blocks.get(page.pfn) if page.zone is not None else None
    return -1 if place is None else place // MIGRATE_TYPES


def shown_mapcount(page: Page) -> int:
    """Return ``page_mapcount()`` as dump_page() prints it."""
    if page.compound_head.test(PG_slab):
        return 0
    return PAGE_BUDDY_MAPCOUNT_VALUE if buddy_order(page) >= 0 else page.mapcount


def pointer_value(value: Any) -> int:
    """Return the number that a field of ``struct page`` would hold for ``value``."""
    if value is None:
        return 0
    if isinstance(value, int):
        return int(value)
    return int(getattr(value, "address", 0) or getattr(value, "addr", 0) or 1 << 63)


def flag_text(page: Page) -> str:
    """Return what printk's ``%pGp`` makes of a page's flags: ``0x100000000000200(slab|node=0|zone=1)``."""
    idx, nid = (page.zone.idx, page.zone.nid) if page.zone is not None else (0, 0)
    words = [FLAG_NAMES[n] for n in _FLAG_ORDER if page.flags >> n & 1]
    value = page.flags | idx << ZONES_PGSHIFT | nid << NODES_PGSHIFT
    return f"{value:#x}({'|'.join([*words, f'node={nid}', f'zone={idx}'])})"


def raw_words(page: Page) -> list[int]:
    """Return the eight words of a ``struct page``, as far as they are modelled."""
    idx, nid = (page.zone.idx, page.zone.nid) if page.zone is not None else (0, 0)
    first = page.flags | idx << ZONES_PGSHIFT | nid << NODES_PGSHIFT
    counts = (page._mapcount & 0xFFFF_FFFF) | (page._refcount & 0xFFFF_FFFF) << 32
    lru = (page.head.address | 1, 0) if page.head is not None else _LIST_POISON
    return [first, *lru, pointer_value(page.mapping), page.index, pointer_value(page.private), counts, 0]


def _rows(label: str, words: list[int]) -> Iterable[str]:
    for i in (0, 4):
        yield f"{label}: " + " ".join(f"{word:016x}" for word in words[i : i + 4])


def dump_page(page: Page, reason: str) -> list[str]:
    """Return the lines that ``dump_page()`` prints."""
    head = page.compound_head
    mapping = pointer_value(head.mapping)
    counts = f"refcount:{head._refcount} mapcount:{shown_mapcount(page)}"
    lines = [f"page:{page.address:016x} {counts} mapping:{mapping:016x} index:{page.index:#x} pfn:{page.pfn:#x}"]
    if head.test(PG_head):
        lines.append(f"head:{head.address:016x} order:{head.order} compound_mapcount:0 compound_pincount:0")
    if isinstance(head.mapping, int) and mapping:
        lines.append(f"invalid mapping:{mapping:016x}")
    lines += [f"flags: {flag_text(head)}", *_rows("raw", raw_words(page))]
    if head is not page:
        lines += _rows("head", raw_words(head))
    return [*lines, f"page dumped because: {reason}"]
