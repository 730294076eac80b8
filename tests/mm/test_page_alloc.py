"""alloc_pages() and its kin: what they give, and what is said of their misuse."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import (
    __GFP_COMP,
    __GFP_MEMALLOC,
    __GFP_NOFAIL,
    __GFP_NOMEMALLOC,
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_RETRY_MAYFAIL,
    __GFP_THISNODE,
    __GFP_ZERO,
    GFP_ATOMIC,
    GFP_DMA,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    NUMA_NO_NODE,
    __free_page,
    __free_pages,
    __get_dma_pages,
    __get_free_page,
    __get_free_pages,
    __page_frag_cache_drain,
    alloc_page,
    alloc_pages,
    alloc_pages_bulk_array,
    alloc_pages_exact,
    alloc_pages_exact_nid,
    alloc_pages_node,
    free_page,
    free_pages,
    free_pages_exact,
    get_zeroed_page,
    page_frag_alloc,
    page_frag_cache,
    page_frag_free,
)
from kmock.linux.mm import (
    PageCompound,
    compound_order,
    get_page_unless_zero,
    page_address,
    page_count,
    page_size,
    page_to_nid,
    put_page,
    split_page,
    virt_addr_valid,
    virt_to_head_page,
    virt_to_page,
)
from kmock.linux.page import __pa, __va
from kmock.linux.sched.mm import current_gfp_context, memalloc_nofs_restore, memalloc_nofs_save, memalloc_noio_save
from kmock.linux.shrinker import SHRINK_STOP, register_shrinker, shrinker, unregister_shrinker
from kmock.linux.types import NULL
from kmock.mm.gfp import gfp_text


@pytest.fixture
def k():
    with kmock.boot() as machine:
        yield machine


def kinds(k):
    return [report.kind for report in k.reports]


def until_null(gfp, order=0):
    got = []
    while page := alloc_pages(gfp, order):
        got.append(page)
    return got


# -- what one gets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", range(11))
def test_blocks_are_aligned_and_come_back(k, order):
    free = k.page_alloc.nr_free_pages
    page = alloc_pages(GFP_KERNEL, order)
    assert page.pfn % (1 << order) == 0
    assert page_count(page) == 1
    __free_pages(page, order)
    k.page_alloc.drain_all_pages()
    assert k.page_alloc.nr_free_pages == free
    assert not k.reports


def test_addresses(k):
    buf = __get_free_pages(GFP_KERNEL, 1)
    page = virt_to_page(buf)
    assert page_address(page) == buf
    assert page_address(page + 1) == buf + 4096
    assert virt_addr_valid(buf)
    assert __va(__pa(buf)) == buf
    assert not virt_addr_valid(NULL)
    free_pages(buf, 1)


def test_zeroed_pages_are_zero_and_others_keep_what_was_there(k):
    buf = __get_free_page(GFP_KERNEL)
    buf[0:4096] = b"\x5a" * 4096
    free_page(buf)
    same = __get_free_page(GFP_KERNEL)
    assert same == buf
    assert same[0] == 0x5A
    free_page(same)
    zeroed = get_zeroed_page(GFP_KERNEL)
    assert zeroed[0:4096] == bytes(4096)
    free_page(zeroed)


def test_init_on_alloc_zeroes_everything():
    with kmock.boot(cmdline="init_on_alloc=1") as k:
        buf = __get_free_page(GFP_KERNEL)
        buf[0:4] = b"abcd"
        free_page(buf)
        again = __get_free_page(GFP_KERNEL)
        assert again[0:4] == bytes(4)
        free_page(again)
        assert not k.reports


def test_init_on_free_zeroes_what_is_freed():
    with kmock.boot(cmdline="init_on_free=1") as k:
        buf = __get_free_page(GFP_KERNEL)
        buf[0:4] = b"abcd"
        free_page(buf)
        phys = int(buf) - k.layout.page_offset
        assert k.ram.bytes[phys : phys + 4] == bytes(4)


def test_dma_pages_lie_below_16_megabytes(k):
    buf = __get_dma_pages(GFP_KERNEL, 2)
    assert __pa(buf) + 4 * 4096 <= 16 << 20
    free_pages(buf, 2)


def test_compound_pages(k):
    page = alloc_pages(GFP_KERNEL | __GFP_COMP, 3)
    assert compound_order(page) == 3
    assert page_size(page) == 8 * 4096
    assert all(PageCompound(page + i) for i in range(8))
    assert virt_to_head_page(page_address(page + 5)) is page
    put_page(page + 7)
    assert not PageCompound(page + 1)
    assert not k.reports


def test_a_failed_allocation_is_null(k):
    page = alloc_pages(GFP_KERNEL | __GFP_NOWARN, 11)
    assert not page
    assert page == NULL


def test_exact_blocks_give_the_rest_back_at_once(k):
    free = k.page_alloc.nr_free_pages
    buf = alloc_pages_exact(5 * 4096 - 100, GFP_KERNEL | __GFP_ZERO)
    assert free - k.page_alloc.nr_free_pages == 5
    assert buf[5 * 4096 - 1] == 0
    free_pages_exact(buf, 5 * 4096 - 100)
    other = alloc_pages_exact_nid(0, 4096, GFP_KERNEL)
    free_pages_exact(other, 4096)
    k.page_alloc.drain_all_pages()
    assert k.page_alloc.nr_free_pages == free
    assert not k.reports


def test_bulk_allocation_fills_the_holes(k):
    pages = [None] * 100
    pages[7] = keep = alloc_page(GFP_KERNEL)
    assert alloc_pages_bulk_array(GFP_KERNEL, 100, pages) == 100
    assert pages[7] is keep
    assert len(set(pages)) == 100
    for page in pages:
        __free_page(page)


def test_fragments_share_a_block(k):
    cache = page_frag_cache()
    pieces = [page_frag_alloc(cache, 1000, GFP_KERNEL) for _ in range(40)]
    assert pieces[0] - pieces[1] == 1000
    for piece in pieces:
        piece[0:4] = b"abcd"
    for piece in pieces:
        page_frag_free(piece)
    __page_frag_cache_drain(cache.page, cache.pagecnt_bias)
    assert not k.page_alloc.blocks
    assert not k.reports


def test_get_page_unless_zero(k):
    page = alloc_page(GFP_KERNEL)
    assert get_page_unless_zero(page)
    put_page(page)
    __free_page(page)
    assert not get_page_unless_zero(page)
    assert not k.reports


def test_records_tell_who_allocated_what(k):
    page = alloc_pages(GFP_KERNEL, 2)
    [block] = k.page_alloc.live_blocks()
    assert (block.what, block.undo, block.size) == ("4 pages of alloc_pages()", "__free_pages", 16384)
    assert block.probe(block.addr) is block
    assert not k.page_alloc.is_free(block.addr)
    __free_pages(page, 2)
    assert k.page_alloc.is_free(block.addr)
    assert not block.live


def test_pages_of_the_kernel_itself_have_no_record(k):
    class Owner:
        def probe(self, address):
            return None

    page = k.page_alloc.alloc_pages(GFP_KERNEL, 1, owner=Owner())
    assert not list(k.page_alloc.live_blocks())
    k.page_alloc.drop(page, 1)
    assert page.owner is None


# -- nodes --------------------------------------------------------------------------------------------------------


def test_memory_comes_from_the_nearest_node():
    with kmock.boot(machine="numa2") as k:
        page = alloc_pages_node(1, GFP_KERNEL, 0)
        assert page_to_nid(page) == 1
        here = alloc_pages_node(NUMA_NO_NODE, GFP_KERNEL, 0)
        assert page_to_nid(here) == k.cpu.node
        __free_page(page)
        __free_page(here)


def test_a_node_that_does_not_exist_is_an_oops(k):
    with pytest.raises(kmock.KernelOops):
        alloc_pages_node(7, GFP_KERNEL, 0)
    assert kinds(k) == ["null-deref"]


def test_a_full_node_overflows_unless_it_may_not():
    with kmock.boot(machine="numa2") as k:
        mine = []
        while page := alloc_pages_node(1, GFP_NOWAIT | __GFP_THISNODE | __GFP_NOWARN, 0):
            mine.append(page)
        assert {page_to_nid(page) for page in mine} == {1}
        other = alloc_pages_node(1, GFP_KERNEL, 0)
        assert page_to_nid(other) == 0
        for page in [*mine, other]:
            __free_page(page)
        assert not k.reports


def test_movable_memory_is_for_movable_pages():
    with kmock.boot(memory="1G", movable="256M"):
        movable = alloc_page(GFP_HIGHUSER_MOVABLE)
        kernel = alloc_page(GFP_KERNEL)
        assert (movable.zone.name, kernel.zone.name) == ("Movable", "DMA32")
        __free_page(movable)
        __free_page(kernel)


# -- when memory is short -----------------------------------------------------------------------------------------


def test_flags_decide_how_deep_into_the_reserves_a_request_may_dip(k):
    zone = k.page_alloc.zones.zone("DMA")
    zone.stat_threshold = 0
    left = []
    for gfp in (GFP_NOWAIT, GFP_ATOMIC | __GFP_NOMEMALLOC, GFP_ATOMIC, __GFP_MEMALLOC):
        pages = until_null(gfp | GFP_DMA | __GFP_NOWARN)
        left.append(zone.buddy_pages)
        for page in pages:
            __free_page(page)
    least = zone.watermark.min
    half = least - least // 2
    assert left == [least, half, half - half // 4, 0]


def test_reclaim_asks_the_shrinkers():
    with kmock.boot(machine="tiny") as k:
        cache = until_null(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)
        asked = []

        def count(one, sc):
            return len(cache)

        def scan(one, sc):
            asked.append(sc.gfp_mask)
            freed = cache[: sc.nr_to_scan]
            del cache[: sc.nr_to_scan]
            for page in freed:
                __free_page(page)
            return len(freed)

        one = shrinker(count_objects=count, scan_objects=scan)
        assert register_shrinker(one, "test") == 0
        page = alloc_page(GFP_KERNEL)
        assert page
        assert asked[0] == GFP_KERNEL
        unregister_shrinker(one)
        for left in [*cache, page]:
            __free_page(left)
        assert not k.reports


def test_a_shrinker_can_stop():
    with kmock.boot() as k:
        calls = []
        one = shrinker(count_objects=lambda s, sc: 1000, scan_objects=lambda s, sc: calls.append(1) or SHRINK_STOP)
        register_shrinker(one, "test")
        k.write_file("/proc/sys/vm/drop_caches", "2")
        assert len(calls) == 1


def test_out_of_memory_is_told_and_ends_in_null():
    with kmock.boot(machine="tiny") as k:
        pages = until_null(GFP_KERNEL)
        log = k.dmesg()
        assert "test invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0" in log
        assert "test: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL), nodemask=(null)" in log
        assert "Mem-Info:" in log
        for page in pages:
            __free_page(page)
        assert not k.reports


def test_retry_mayfail_and_norety_never_kill():
    with kmock.boot(machine="tiny") as k:
        pages = until_null(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
        pages += until_null(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)
        assert "oom-killer" not in k.dmesg()
        for page in pages:
            __free_page(page)


def test_nofail_uses_the_last_page_and_then_hangs():
    with kmock.boot(machine="tiny") as k:
        with pytest.raises(kmock.Deadlock):
            until_null(GFP_NOIO | __GFP_NOFAIL)
        assert kinds(k) == ["hang"]
        assert k.page_alloc.nr_free_pages == 0


def test_high_order_atomic_requests_get_a_pageblock_of_their_own(k):
    pages = until_null(GFP_ATOMIC | __GFP_NOWARN, 2)
    assert any(zone.nr_reserved_highatomic for zone in k.page_alloc.zones.all)
    for page in pages:
        __free_pages(page, 2)


# -- scopes -------------------------------------------------------------------------------------------------------


def test_scopes_narrow_what_allocations_may_do(k):
    saved = memalloc_nofs_save()
    assert current_gfp_context(GFP_KERNEL) == GFP_NOFS
    memalloc_nofs_restore(saved)
    assert current_gfp_context(GFP_KERNEL) == GFP_KERNEL


def test_a_scope_left_open_is_reported_where_it_was_opened():
    with kmock.boot() as k:
        memalloc_noio_save()
        k.shutdown()
        assert kinds(k) == ["memalloc-scope-imbalance"]
        assert k.reports[0].where.function == "test_a_scope_left_open_is_reported_where_it_was_opened"


# -- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gfp", "text"),
    [
        (GFP_KERNEL, "GFP_KERNEL"),
        (GFP_KERNEL | __GFP_ZERO, "GFP_KERNEL|__GFP_ZERO"),
        (GFP_ATOMIC | GFP_DMA, "GFP_ATOMIC|GFP_DMA"),
        (0, "none"),
        (1 << 31, "0x80000000"),
    ],
)
def test_gfp_flags_as_printk_shows_them(gfp, text):
    assert gfp_text(gfp) == text


# -- misuse beyond the smallest programs --------------------------------------------------------------------------


def test_a_stale_address_does_not_free_the_new_owners_page(k):
    first = __get_free_page(GFP_KERNEL)
    free_page(first)
    second = __get_free_page(GFP_KERNEL)
    assert second == first
    free_page(first)
    assert kinds(k) == ["page-double-free"]


def test_the_rest_of_a_block_freed_in_part_stays_usable(k):
    page = alloc_pages(GFP_KERNEL, 1)
    buf = page_address(page)
    split_page(page, 1)
    upper = page_address(page + 1)
    __free_page(page)
    upper[0] = 1
    assert not k.reports
    page_address(page)[0] = 1
    assert kinds(k) == ["page-use-after-free"]
    assert buf
    __free_page(page + 1)


def test_without_debug_vm_a_double_free_goes_on():
    with kmock.boot(debug_vm=False) as k:
        page = alloc_page(GFP_KERNEL)
        __free_page(page)
        __free_page(page)
        assert kinds(k) == ["page-double-free"]
        assert k.reports[0].headline == "BUG: kmock: page-double-free in __free_pages()"


def test_bad_pages_are_withheld(k):
    page = alloc_page(GFP_KERNEL)
    page.mapping = 0x1000
    __free_page(page)
    page.mapping = None
    assert all(other is not page for other in [alloc_page(GFP_KERNEL) for _ in range(200)])
    assert kinds(k)[0] == "page-flags-corrupt"
    assert "page dumped because: non-NULL mapping" in k.dmesg()


def test_a_page_changed_while_free_is_found_at_its_allocation(k):
    page = alloc_page(GFP_KERNEL)
    __free_page(page)
    page.set(3)
    other = alloc_page(GFP_KERNEL)
    assert other is not page
    assert "PAGE_FLAGS_CHECK_AT_PREP flag(s) set" in k.dmesg()
    __free_page(other)
