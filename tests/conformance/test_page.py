"""The page allocator, held to the recordings of the area ``page``, and of the zones that boot made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux.bootmem import max_low_pfn
from kmock.linux.gfp import (
    __GFP_COMP,
    __GFP_DMA,
    __GFP_DMA32,
    __GFP_HIGHMEM,
    __GFP_MOVABLE,
    __GFP_NOMEMALLOC,
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_RECLAIMABLE,
    GFP_ATOMIC,
    GFP_DMA,
    GFP_KERNEL,
    GFP_NOWAIT,
    __free_page,
    __free_pages,
    __get_free_page,
    __get_free_pages,
    alloc_page,
    alloc_pages,
    alloc_pages_bulk_array,
    free_pages,
    get_order,
)
from kmock.linux.mm import (
    MAX_ORDER,
    PageHead,
    PageSlab,
    PageTail,
    PG_locked,
    compound_head,
    compound_order,
    free_area_init,
    get_page,
    page_address,
    page_count,
    page_mapcount,
    page_ref_count,
    page_to_pfn,
    put_page,
    set_page_private,
    split_page,
    virt_to_page,
)
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import NULL
from kmock.linux.vmalloc import vmalloc
from kmock.mm import zones as formulas
from kmock.mm.buddy import PAGEBLOCK_NR_PAGES, PAGEBLOCK_ORDER
from tests.conformance.normalise import log_lines
from tests.conformance.recordings import recording
from tests.conformance.replay import Replay, scenario

if TYPE_CHECKING:
    from kmock import Kernel
    from kmock.mm.zones import Zone

MACHINE = "how much memory boot took is this machine's own; the formulas are fed with the recorded sizes instead"


SECOND_BAD_PAGE = (
    "two pages were found bad when lists were emptied later; how many depends on what the lists held before, "
    "here it is the one with refcount -1, which the test looks for"
)


def given_back(k: Kernel, free: Any) -> int:
    """Return the pages that ``free()`` gives back to the zones."""
    k.page_alloc.drain_all_pages()
    before = k.page_alloc.nr_free_pages
    free()
    k.page_alloc.drain_all_pages()
    return k.page_alloc.nr_free_pages - before


# -- gfp flags ----------------------------------------------------------------------------------------------------


def zone_of(page: Any) -> str:
    return f"node{page.zone.nid} {page.zone.name}"


@scenario("page.gfp-illegal-dma-dma32")
@scenario("page.gfp-illegal-dma-dma32--novm")
def dma_and_dma32(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL | __GFP_DMA | __GFP_DMA32, 0)
    s.check("zone", zone_of(p))
    __free_page(p)


@scenario("page.gfp-illegal-dma-highmem")
def dma_and_highmem(k: Kernel, s: Replay) -> None:
    alloc_pages(GFP_KERNEL | __GFP_DMA | __GFP_HIGHMEM, 0)


@scenario("page.gfp-illegal-dma32-highmem")
@scenario("page.gfp-illegal-dma32-highmem--novm")
def dma32_and_highmem(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL | __GFP_DMA32 | __GFP_HIGHMEM, 0)
    s.check("zone", zone_of(p))
    __free_page(p)


@scenario("page.gfp-movable-and-reclaimable")
def movable_and_reclaimable(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL | __GFP_MOVABLE | __GFP_RECLAIMABLE, 0)
    s.check("zone", zone_of(p))
    __free_page(p)


@scenario("page.order-too-large")
def order_too_large(k: Kernel, s: Replay) -> None:
    s.check("MAX_ORDER_result", alloc_pages(GFP_KERNEL, MAX_ORDER))
    s.check("MAX_ORDER_nowarn", alloc_pages(GFP_KERNEL | __GFP_NOWARN, MAX_ORDER))
    s.check("order20_nowarn", alloc_pages(GFP_KERNEL | __GFP_NOWARN, 20))


@scenario("page.get-order")
def order_of_size(k: Kernel, s: Replay) -> None:
    s.check("get_order", {n: get_order(int(n)) for n in s.observed["get_order"]})


@scenario("page.gfp-atomic-under-spinlock")
def atomic_under_spinlock(k: Kernel, s: Replay) -> None:
    olock = DEFINE_SPINLOCK("olock")
    spin_lock(olock)
    p = alloc_page(GFP_ATOMIC)
    __free_page(p)
    p = alloc_pages(GFP_ATOMIC, 4)
    __free_pages(p, 4)
    spin_unlock(olock)


# -- references and shape -----------------------------------------------------------------------------------------


def shape(p: Any) -> dict[str, Any]:
    return {
        "ref": [page_ref_count(p + i) for i in range(4)],
        "page_count_tail1": page_count(p + 1),
        "PageHead": int(PageHead(p)),
        "PageTail1": int(PageTail(p + 1)),
        "compound_order": compound_order(p),
        "mapcount": page_mapcount(p),
    }


@scenario("page.counts-after-alloc")
def counts_after_alloc(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL, 2)
    s.check("plain", shape(p))
    __free_pages(p, 2)
    p = alloc_pages(GFP_KERNEL | __GFP_COMP, 2)
    s.check("comp", shape(p))
    s.check("compound_head_of_tail_is_p", compound_head(p + 3) is p)
    __free_pages(p, 2)


@scenario("page.put-page")
def put_page_frees(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_DMA | __GFP_COMP, 2)
    get_page(p + 2)
    s.check("head_ref_after_get_tail", page_ref_count(p))
    s.check("page_count_tail", page_count(p + 2))
    put_page(p + 3)
    s.check("head_ref_after_put_tail", page_ref_count(p))
    s.check("pages_given_back_by_put_page_comp", given_back(k, lambda: put_page(p)))
    q = alloc_pages(GFP_DMA, 2)
    s.check("pages_given_back_by_put_page_noncomp_order2", given_back(k, lambda: put_page(q)))
    r = alloc_page(GFP_DMA)
    get_page(r)
    s.check("pages_given_back_with_extra_ref", given_back(k, lambda: __free_page(r)))
    s.check("ref", page_ref_count(r))
    s.check("pages_given_back_after_last_put", given_back(k, lambda: put_page(r)))
    t = alloc_pages(GFP_DMA, 2)
    get_page(t)
    s.check("order2_with_extra_ref_given_back", given_back(k, lambda: __free_pages(t, 2)))
    s.check("order2_after_last_put", 3 + given_back(k, lambda: put_page(t)))


@scenario("page.split-page")
def split_page_makes_single_pages(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL, 2)
    split_page(p, 2)
    s.check("refs", [page_ref_count(p + i) for i in range(4)])
    for i in (3, 1, 0, 2):
        __free_page(p + i)


@scenario("page.alloc-pages-bulk-array")
def bulk_array(k: Kernel, s: Replay) -> None:
    a: list[Any] = [None] * 8
    a[3] = keep = alloc_page(GFP_KERNEL)
    s.check("n", alloc_pages_bulk_array(GFP_KERNEL, 8, a))
    s.check("slot3_untouched", a[3] is keep)
    s.check("n_when_full", alloc_pages_bulk_array(GFP_KERNEL, 8, a))
    for page in a:
        __free_page(page)


# -- wrong frees --------------------------------------------------------------------------------------------------


@scenario("page.free-null-page")
def free_null_page(k: Kernel, s: Replay) -> None:
    __free_pages(NULL, 0)


@scenario("page.double-free")
@scenario("page.double-free--plain")
@scenario("page.double-free--novm")
def double_free(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    __free_page(p)
    __free_page(p)


@scenario("page.double-free-then-allocate")
def double_free_then_allocate(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    __free_page(p)
    __free_page(p)
    s.check("refcount", page_ref_count(p))
    q = [alloc_page(GFP_KERNEL) for _ in range(8)]
    s.check("times_p_came_back", sum(one is p for one in q))
    for one in q:
        __free_page(one)


@scenario("page.double-free-after-reallocation")
@scenario("page.double-free-after-reallocation--novm")
def double_free_after_reallocation(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    __free_page(p)
    q = alloc_page(GFP_ATOMIC)
    s.check("q_is_p", page_to_pfn(q) == page_to_pfn(p))
    __free_page(p)
    r = alloc_page(GFP_ATOMIC)
    s.check("r_is_q", page_to_pfn(r) == page_to_pfn(q))


@scenario("page.double-free-order-3")
@scenario(
    "page.double-free-order-3--novm",
    except_headlines={
        "process init": SECOND_BAD_PAGE,
        "refcount:-1": "comes with it",
        "mapcount:-128": SECOND_BAD_PAGE,
    },
)
def double_free_order_3(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL, 3)
    __free_pages(p, 3)
    __free_pages(p, 3)
    # The recording machine's lists were emptied by what ran next.
    k.page_alloc.drain_all_pages()
    assert "BUG: Bad page state in process test" in k.dmesg()
    assert "page dumped because: nonzero _refcount" in k.dmesg()


@scenario("page.free-with-smaller-order")
def free_with_smaller_order(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_DMA, 3)
    s.check("pages_given_back_as_order_0", given_back(k, lambda: __free_pages(p, 0)))
    s.check("ref_of_p1", page_ref_count(p + 1))
    q = alloc_pages(GFP_DMA, 3)
    s.check("pages_given_back_as_order_2", given_back(k, lambda: __free_pages(q, 2)))


@scenario("page.free-with-larger-order-over-slab")
@scenario(
    "page.free-with-larger-order-over-slab--plain",
    except_headlines={"index:<addr>": "a slab's page shows the slab's list head as its index, which is not modelled"},
)
def free_with_larger_order_over_slab(k: Kernel, s: Replay) -> None:
    pages, objects = [], []
    while True:
        page = alloc_page(GFP_KERNEL)
        pages.append(page)
        objects += [kmalloc(8, GFP_KERNEL) for _ in range(512)]
        lower = next((p for p in pages if not page_to_pfn(p) & 1 and PageSlab(p + 1)), None)
        if lower is not None:
            break
    __free_pages(lower, 1)
    for page in pages:
        if page is not lower:
            __free_page(page)
    for obj in objects:
        kfree(obj)


@scenario("page.compound-freed-with-wrong-order")
@scenario("page.compound-freed-with-wrong-order--novm")
def compound_freed_with_wrong_order(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL | __GFP_COMP, 2)
    __free_pages(p, 0)


@scenario("page.free-second-page-of-block")
@scenario("page.free-second-page-of-block--novm")
def free_second_page_of_block(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL, 2)
    __free_pages(p + 1, 0)


@scenario("page.put-page-twice")
@scenario("page.put-page-twice--novm")
def put_page_twice(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    put_page(p)
    put_page(p)


@scenario("page.get-page-of-freed")
@scenario("page.get-page-of-freed--novm")
def get_page_of_freed(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    __free_page(p)
    get_page(p)


@scenario("page.free-pages-of-vmalloc")
@scenario("page.free-pages-of-vmalloc--novm")
def free_pages_of_vmalloc(k: Kernel, s: Replay) -> None:
    v = vmalloc(4096)
    free_pages(v, 0)


@scenario("page.free-pages-unaligned")
def free_pages_unaligned(k: Kernel, s: Replay) -> None:
    a = __get_free_page(GFP_KERNEL)
    free_pages(a + 8, 0)


# -- bad state ----------------------------------------------------------------------------------------------------


@scenario("page.bad-state-mapping")
def bad_state_mapping(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    p.mapping = 0x1000
    __free_page(p)


@scenario("page.bad-state-locked")
def bad_state_locked(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    p.set(PG_locked)
    __free_page(p)


@scenario("page.bad-state-private-and-refs")
def bad_state_private(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    set_page_private(p, 0x1234)
    __free_page(p)


@scenario("page.oob-next-page")
def oob_next_page(k: Kernel, s: Replay) -> None:
    p = alloc_pages(GFP_KERNEL, 1)
    split_page(p, 1)
    a = page_address(p)
    a[4096]
    __free_page(p + 1)
    a[4096]
    __free_page(p)


@scenario("page.uaf-debug-pagealloc")
def uaf_debug_pagealloc(k: Kernel, s: Replay) -> None:
    a = __get_free_pages(GFP_KERNEL, 0)
    free_pages(a, 0)
    a[10]


@scenario("page.poison-corruption")
def poison_corruption(k: Kernel, s: Replay) -> None:
    p = alloc_page(GFP_KERNEL)
    a = page_address(p)
    a[0:4096] = b"\x11" * 4096
    __free_page(p)
    s.check("freed_byte", f"{a[100]:02x}")
    a[100] = 0x12
    a[101] = 0x13
    q = alloc_page(GFP_ATOMIC)
    s.check("q_is_p", q is p)
    now = page_address(q)
    s.check("q_bytes_0_100_101_102", " ".join(f"{now[i]:02x}" for i in (0, 100, 101, 102)))
    __free_page(q)
    now[200] ^= 1
    __free_page(alloc_page(GFP_ATOMIC))


@scenario("page.leak")
def leak(k: Kernel, s: Replay) -> None:
    alloc_page(GFP_KERNEL)
    virt_to_page(__get_free_pages(GFP_KERNEL, 2))


# -- processors' lists and free lists -----------------------------------------------------------------------------


@scenario("page.pcp-reuse-order")
@scenario("page.pcp-reuse-order--kasan")
def pcp_reuse_order(k: Kernel, s: Replay) -> None:
    a = [alloc_page(GFP_KERNEL) for _ in range(4)]
    for page in a:
        __free_page(page)
    b = [alloc_page(GFP_ATOMIC) for _ in range(4)]
    s.check("reuse", " ".join(f"b{i}=a{a.index(page)}" for i, page in enumerate(b)))
    for page in b:
        __free_page(page)


@scenario("page.pcp-batch-refill")
def pcp_batch_refill(k: Kernel, s: Replay) -> None:
    zone = k.page_alloc.zones.zone("DMA32")
    recorded = recording("context.zone-base-1024").observed["node0_DMA32"]
    s.check("batch", formulas.pcp_batch_of(recorded["managed"]))
    s.check("pcp_high", formulas.pcp_high_of(recorded["low"], k.config.cpus, s.observed["batch"]))
    zone.pcp_high = s.observed["pcp_high"]
    k.page_alloc.drain_all_pages()
    free = zone.buddy_pages
    count = pcp_counter(k, zone)
    s.check("count_after_drain", count())
    p = alloc_pages(GFP_ATOMIC, 0)
    s.check("count_after_alloc_order0", count())
    s.check("zone_free_delta_of_first_alloc", zone.buddy_pages - free)
    free = zone.buddy_pages
    __free_pages(p, 0)
    s.check("count_after_free_order0", count())
    s.check("zone_free_delta_of_free", zone.buddy_pages - free)
    for order in (3, 4):
        p = alloc_pages(GFP_ATOMIC, order)
        s.check(f"count_after_alloc_order{order}", count())
        __free_pages(p, order)
        s.check(f"count_after_free_order{order}", count())


def pcp_counter(k: Kernel, zone: Zone) -> Any:
    return lambda: zone.pcp[0].count if 0 in zone.pcp else 0


@scenario("page.buddy-split-merge")
def buddy_split_merge(k: Kernel, s: Replay) -> None:
    zone = k.page_alloc.zones.zone("DMA32")
    pages = []
    # Until the smallest block that is large enough is the one that was split in the recording.
    while zone.free_by_type(0)[6] or not zone.free_by_type(0)[5]:
        pages.append(alloc_pages(GFP_ATOMIC, 6 if zone.free_by_type(0)[6] else 5))
    before = zone.free_area
    pages.append(alloc_pages(GFP_ATOMIC, 5))
    s.check("delta_when_order5_list_has_one", delta(before, zone.free_area))
    before = zone.free_area
    last = alloc_pages(GFP_ATOMIC, 5)
    change = delta(before, zone.free_area)
    s.check("delta_of_splitting_alloc", change)
    s.check("order_of_block_split", change.index(-1))
    before = zone.free_area
    __free_pages(last, 5)
    s.check("delta_of_its_free", delta(before, zone.free_area))


def delta(before: list[int], after: list[int]) -> list[int]:
    return [b - a for a, b in zip(before, after, strict=True)]


@scenario("page.migratetype-fallback")
def migratetype_fallback(k: Kernel, s: Replay) -> None:
    zone = k.page_alloc.zones.zone("DMA32")
    got = []
    while any(zone.free_by_type(0)) or (0 in zone.pcp and zone.pcp[0].lists[0]):
        got.append(alloc_pages(GFP_KERNEL, 0))
    largest = max(order for order in range(MAX_ORDER) if zone.has_free(order, 1))
    s.check("largest_other_free_order", largest)
    s.check("largest_other_free_type", 1)
    pfn = zone.first_free(largest, 1)
    s.check("pageblock_type_before", zone.pageblock_type(pfn))
    got.append(alloc_pages(GFP_KERNEL, 0))
    s.check("pageblock_type_after", zone.pageblock_type(pfn))
    s.check("unmovable_lists_nonempty_after", [int(n > 0) for n in zone.free_by_type(0)])
    free_all(got)


# -- exhaustion ---------------------------------------------------------------------------------------------------


def exhaust_dma(k: Kernel, s: Replay, gfp: int, order: int = 0, *, exact: bool = True) -> None:
    zone = k.page_alloc.zones.zone("DMA")
    # This machine's reserves follow from the memory that boot left to it: the recorded ones stand in.
    zone.watermark = formulas.Watermarks(*(s.observed[f"wmark_{name}"] for name in ("min", "low", "high")), 0)
    s.check("wmark_min", zone.watermark.min)
    s.check("wmark_low", zone.watermark.low)
    s.check("wmark_high", zone.watermark.high)
    s.check("zone_managed", zone.managed_pages)
    if exact:
        zone.stat_threshold = 0
    got = until_null(gfp | __GFP_DMA | __GFP_NOWARN, order)
    s.check("got_some", bool(got))
    s.check("free_pages_left", zone.buddy_pages)
    s.check("in_pcp_lists", zone.free_pcp)
    s.check("buddy_free_by_order", zone.free_area)
    if not exact:
        s.check("per_cpu_counter_threshold", zone.stat_threshold)
        s.check("counter_seen_by_the_watermark_check", zone.vm_free)
    free_all(got, order)


def until_null(gfp: int, order: int = 0) -> list[Any]:
    """Allocate until NULL comes; return the pages."""
    got = []
    while p := alloc_pages(gfp, order):
        got.append(p)
    return got


def free_all(pages: list[Any], order: int = 0) -> None:
    for page in pages:
        __free_pages(page, order)


@scenario("page.exhaust-dma-counter-drift")
def exhaust_dma_drift(k: Kernel, s: Replay) -> None:
    exhaust_dma(k, s, 0, exact=False)


@scenario("page.exhaust-dma-nowait")
def exhaust_dma_nowait(k: Kernel, s: Replay) -> None:
    exhaust_dma(k, s, GFP_NOWAIT)


@scenario("page.exhaust-dma-atomic")
def exhaust_dma_atomic(k: Kernel, s: Replay) -> None:
    exhaust_dma(k, s, GFP_ATOMIC)


@scenario("page.exhaust-dma-atomic-nomemalloc")
def exhaust_dma_nomemalloc(k: Kernel, s: Replay) -> None:
    exhaust_dma(k, s, GFP_ATOMIC | __GFP_NOMEMALLOC)


@scenario("page.exhaust-dma-order-3")
def exhaust_dma_order_3(k: Kernel, s: Replay) -> None:
    exhaust_dma(k, s, GFP_NOWAIT, 3)


@scenario("page.allocation-failure-message-order-4")
def allocation_failure_message(k: Kernel, s: Replay) -> None:
    got = until_null(GFP_ATOMIC | __GFP_DMA | __GFP_NOWARN, 4)
    s.check("p", alloc_pages(GFP_ATOMIC | __GFP_DMA, 4))
    free_all(got, 4)


@scenario("page.exhaust-all-noretry")
def exhaust_all_noretry(k: Kernel, s: Replay) -> None:
    got = until_null(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)
    s.except_("zones_in_order_of_first_use", "the later turns are reclaim of that machine's page cache")
    used = dict.fromkeys(p.zone.name for p in got)
    assert s.observed["zones_in_order_of_first_use"].startswith(" ".join(used))
    for name in ("DMA", "DMA32"):
        s.except_(f"left.{name}", MACHINE)
        zone = k.page_alloc.zones.zone(name)
        recorded = s.observed[f"left.{name}"]
        # Both stop below what the request may not touch, by no more than the counter's drift and a batch.
        for free, least, reserve in (
            (recorded["free"], recorded["min"], recorded["lowmem_reserve_for_DMA32"]),
            (zone.vm_free, zone.watermark.min, zone.lowmem_reserve[2]),
        ):
            assert least + reserve - zone.stat_threshold - zone.pcp_batch <= free <= least + reserve
    free_all(got)


@scenario("page.gfp-kernel-until-oom")
def kernel_until_oom(k: Kernel, s: Replay) -> None:
    got = until_null(GFP_KERNEL)
    s.check("got_NULL", True)
    free_all(got)


# -- reserves -----------------------------------------------------------------------------------------------------


def recorded_zones(table: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Return the zones of a recorded table by ``node.name``, those with a size."""
    return {
        key.removeprefix(prefix).replace("_", "."): zone
        for key, zone in table.items()
        if key.startswith(f"{prefix}node") and isinstance(zone, dict)
    }


def marks(managed: dict[str, int], kbytes: int, scale: int) -> dict[str, formulas.Watermarks]:
    total = sum(managed.values())
    return {name: formulas.watermarks_of(pages, total, kbytes, scale) for name, pages in managed.items()}


def shown(mark: formulas.Watermarks) -> dict[str, int]:
    return {"min": mark.min, "low": mark.low, "high": mark.high}


def check_spans(k: Kernel, zones: dict[str, dict[str, Any]]) -> None:
    for name, recorded in zones.items():
        node, zone_name = name.removeprefix("node").split(".")
        zone = k.page_alloc.zones.zone(zone_name, int(node))
        assert (zone.spanned_pages, zone.present_pages) == (recorded["spanned"], recorded["present"])


@scenario("page.watermarks-min-free-kbytes-8192")
@scenario("page.watermarks-min-free-kbytes-8192--numa")
def min_free_kbytes_8192(k: Kernel, s: Replay) -> None:
    zones = recorded_zones(s.observed)
    check_spans(k, zones)
    managed = {name: zone["managed"] for name, zone in zones.items()}
    cpus = k.config.cpus // k.config.nodes if isinstance(k.config.nodes, int) else k.config.cpus // 2
    for name, mark in marks(managed, 8192, 10).items():
        recorded = zones[name]
        batch = formulas.pcp_batch_of(managed[name])
        got = shown(mark) | {"pcp_batch": batch, "pcp_high": formulas.pcp_high_of(mark.low, cpus, batch)}
        # The reserves were computed at boot, when the initial RAM disk was not free yet.
        kept = {key: recorded[key] for key in ("spanned", "present", "managed", "protection")}
        s.check(name, kept | got)
    for name, mark in marks(managed, 8192, 500).items():
        s.check(f"wsf500.{name}", shown(mark))
    for name, mark in marks(managed, 4096, 10).items():
        s.check(f"mfk4096.{name}", shown(mark))
    check_sysctl(k)


def check_sysctl(k: Kernel) -> None:
    """The files do to this machine's zones what the formulas say."""
    k.write_file("/proc/sys/vm/min_free_kbytes", "8192\n")
    k.write_file("/proc/sys/vm/watermark_scale_factor", "500\n")
    zones = k.page_alloc.zones.all
    managed = {repr(zone): zone.managed_pages for zone in zones}
    assert {repr(zone): zone.watermark for zone in zones} == marks(managed, 8192, 500)


# What a recording says in words of its own, or of the machine it was made on.
BOOT_WORDS = {
    "memory_line": "sizes of that kernel's image",
    "MemTotal_kB": MACHINE,
    "total_pages": "an estimate that only the log shows",
    "mobility_grouping": "cannot be switched off",
    "zonelists": "only the log shows it",
    "policy_zone": "only memory policies use it",
    "watermark_boost_factor": "boosting watermarks is kswapd's work, which is not modelled",
}
# Of a recorded zone, what is not computed from its managed pages here.
GIVEN = ("managed", "absent", "reserved")


@scenario(
    "context.zone-base-1024",
    "context.zone-base-2048",
    "context.zone-plain-128",
    "context.zone-plain-1024",
    "context.zone-plain-2048",
    "context.zone-plain-256",
    "context.zone-plain-2g2n",
    "context.zone-plain-2g4n",
    "context.zone-plain-64",
)
@scenario("context.zone-plain-4096", boot={"low_memory_top": "2G"})
@scenario("context.zone-plain-5g2n", boot={"low_memory_top": "2G", "nodes": [{"memory": "3G"}, {"memory": "2G"}]})
def zones_after_boot(k: Kernel, s: Replay) -> None:
    observed = s.observed
    with k.early_boot():
        free_area_init([min(end, max_low_pfn()) for end in (1 << 12, 1 << 20, 1 << 52)])
    said = [" ".join(line.split()) for line in log_lines(k.dmesg())]
    s.check(
        "boot_lines", [line for line in said if "[mem 0x" in line or line.endswith(("empty", " unavailable ranges"))]
    )
    zones = recorded_zones(observed)
    managed = {name: zone["managed"] for name, zone in zones.items()}
    for key, value in observed.items():
        if value == "empty":
            s.check(key, "empty" if not has_zone(k, key.replace("_", ".")) else "there")
        elif key in BOOT_WORDS:
            s.except_(key, BOOT_WORDS[key])
        elif key.startswith("Fallback_order"):
            s.check(key, " ".join(map(str, k.page_alloc.zones.node_order(int(key[-1])))))
        elif key.endswith("_distance"):
            node = int(key[4])
            s.check(key, " ".join(str(k.config.distance(node, n)) for n in range(len(k.config.topology))))
    s.check("pageblock_order", PAGEBLOCK_ORDER)
    s.check("pages_per_block", PAGEBLOCK_NR_PAGES)
    s.check("lowmem_reserve_ratio", " ".join(map(str, k.page_alloc.zones.tunables.lowmem_reserve_ratio)))
    s.check("watermark_scale_factor", k.page_alloc.zones.tunables.watermark_scale_factor)
    check_reserves(k, s, zones, managed)


def has_zone(k: Kernel, name: str) -> bool:
    node, zone = name.removeprefix("node").split(".")
    return k.page_alloc.zones.names.index(zone) in k.page_alloc.zones.nodes[int(node)]


def pages_seen(k: Kernel, s: Replay, managed: dict[str, int]) -> dict[str, int]:
    """Return the recorded sizes of zones as they were when boot computed the reserves."""
    recorded = s.observed["min_free_kbytes"]
    late = {f"node{zone.nid}.{zone.name}": pages for zone, pages in k.page_alloc.zones.late.items()}
    seen = {name: pages - late[name] for name, pages in managed.items()}
    while formulas.min_free_kbytes_of(sum(seen.values())) > recorded:
        # A kernel with all debug options has more that is freed late.
        seen["node0.DMA32"] -= 1
    return seen


def check_reserves(k: Kernel, s: Replay, zones: dict[str, dict[str, Any]], managed: dict[str, int]) -> None:
    seen = pages_seen(k, s, managed)
    s.check("min_free_kbytes", formulas.min_free_kbytes_of(sum(seen.values())))
    names = k.page_alloc.zones.names
    for name, mark in marks(seen, s.observed["min_free_kbytes"], s.observed["watermark_scale_factor"]).items():
        node, zone_name = name.removeprefix("node").split(".")
        own = k.page_alloc.zones.zone(zone_name, int(node))
        sizes = tuple(seen.get(f"node{node}.{z}", 0) for z in names)
        table = formulas.lowmem_reserve_of(sizes, formulas.LOWMEM_RESERVE_RATIO[64])
        batch = formulas.pcp_batch_of(managed[name])
        cpus = len(k.config.topology[int(node)].cpus)
        got = shown(mark) | {
            "protection": list(table[names.index(zone_name)]),
            "pageset_batch": batch,
            "pageset_high": formulas.pcp_high_of(mark.low, cpus, batch),
            "spanned": own.spanned_pages,
            "present": own.present_pages,
            "start_pfn": own.zone_start_pfn,
        }
        s.check(name.replace(".", "_"), {key: zones[name][key] for key in GIVEN} | got)


@scenario("context.zone-minfree-1024", "context.zone-minfree-8192", "context.zone-minfree-65536")
def min_free_kbytes_written(k: Kernel, s: Replay) -> None:
    k.write_file("/proc/sys/vm/min_free_kbytes", f"{s.observed['read_back']}\n")
    s.check("read_back", int(k.read_file("/proc/sys/vm/min_free_kbytes")))
    zones = recorded_zones(s.observed)
    managed = {name: zone["managed"] for name, zone in zones.items()}
    for name, mark in marks(managed, s.observed["read_back"], 10).items():
        kept = {key: zones[name][key] for key in ("managed", "protection")}
        s.check(name.replace(".", "_"), kept | shown(mark))
