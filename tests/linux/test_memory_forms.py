"""Allocation, copying, user copies and registers: the forms that differ in one thing from a neighbour."""

from __future__ import annotations

import pytest

from kmock.linux import io
from kmock.linux.errno import EINVAL
from kmock.linux.fs import (
    __register_chrdev,
    __unregister_chrdev,
    file_inode,
    file_operations,
    generic_file_llseek,
    i_size_read,
    i_size_write,
    simple_open,
    vfs_setpos,
)
from kmock.linux.gfp import (
    __GFP_COMP,
    GFP_KERNEL,
    __alloc_pages,
    __alloc_pages_node,
    __free_page,
    __free_pages,
    __get_free_page,
    __page_frag_cache_drain,
    alloc_page,
    alloc_pages,
    alloc_pages_bulk_array_node,
    alloc_pages_exact_node,
    free_cold_page,
    free_hot_page,
    free_page,
    page_frag_alloc_align,
    page_frag_cache,
    page_frag_free,
)
from kmock.linux.highmem import memzero_page
from kmock.linux.ioport import (
    IORESOURCE_MEM,
    __release_region,
    __request_region,
    iomem_resource,
    release_mem_region,
    release_resource,
    request_mem_region_exclusive,
    request_resource_conflict,
    resource,
)
from kmock.linux.mm import (
    compound_nr,
    page_address,
    page_mapped,
    page_to_nid,
    page_zone,
    put_page,
    put_page_testzero,
    setup_per_zone_wmarks,
    si_mem_available,
    try_get_page,
)
from kmock.linux.mm_types import page_private
from kmock.linux.mmzone import MIGRATE_MOVABLE, MIGRATE_UNMOVABLE, get_pageblock_migratetype
from kmock.linux.page import clear_page, copy_page, page_to_pfn, pfn_to_kaddr, pfn_to_page, pfn_valid, virt_to_pfn
from kmock.linux.page_ref import init_page_count, page_count, set_page_count
from kmock.linux.pageblock_flags import get_pageblock_flags_group, set_pageblock_flags_group
from kmock.linux.sched.mm import memalloc_pin_restore, memalloc_pin_save
from kmock.linux.slab import (
    kcalloc_node,
    kfree,
    kmalloc_array_node,
    kmalloc_track_caller,
    kmem_cache_alloc_node,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    krealloc_array,
    kvfree,
    kvmalloc_node,
    kvzalloc_node,
    kzalloc_node,
    kzfree,
)
from kmock.linux.string import vmemdup_user
from kmock.linux.types import NULL, u32
from kmock.linux.uaccess import __clear_user, __copy_to_user_inatomic, __put_user, raw_copy_to_user
from kmock.linux.vmalloc import (
    VM_IOREMAP,
    __get_vm_area,
    __get_vm_area_caller,
    find_vm_area,
    free_vm_area,
    get_vm_area_caller,
    vfree,
    vmalloc_node,
    vmalloc_to_page,
    vunmap_range,
    vzalloc_node,
)

BAR = 0xF000_0000
PAGE_SIZE = 4096
TWO_NODES = pytest.mark.kernel(nodes=2, memory="128M")


# -- pages --------------------------------------------------------------------------------------------------------------------


@TWO_NODES
@pytest.mark.parametrize("node", [0, 1])
def test_pages_of_a_node(kernel, node):
    pages = [
        alloc_pages_exact_node(node, GFP_KERNEL, 0),
        __alloc_pages_node(node, GFP_KERNEL, 0),
        __alloc_pages(GFP_KERNEL, 0, node),
    ]
    bulk = [NULL] * 3
    assert alloc_pages_bulk_array_node(GFP_KERNEL, node, 3, bulk) == 3
    assert {page_to_nid(page) for page in pages + bulk} == {node}
    for page in pages + bulk:
        __free_page(page)


@TWO_NODES
@pytest.mark.parametrize("node", [0, 1])
def test_slab_and_vmalloc_memory_of_a_node(kernel, node):
    cache = kmem_cache_create("on_node", 200, 0, 0, None)
    item = kmem_cache_alloc_node(cache, GFP_KERNEL, node)
    zeroed = [
        kzalloc_node(64, GFP_KERNEL, node),
        kcalloc_node(4, 16, GFP_KERNEL, node),
        kvzalloc_node(64, GFP_KERNEL, node),
    ]
    kept = [kmalloc_array_node(4, 16, GFP_KERNEL, node), kvmalloc_node(64, GFP_KERNEL, node)]
    assert {page_to_nid(pfn_to_page(virt_to_pfn(p))) for p in [item, *zeroed, *kept]} == {node}
    assert all(p[0:64] == bytes(64) for p in zeroed)
    assert (
        kcalloc_node(1 << 40, 1 << 40, GFP_KERNEL, node)
        == kmalloc_array_node(1 << 40, 1 << 40, GFP_KERNEL, node)
        == NULL
    )
    for p in zeroed + kept:
        kvfree(p)
    kmem_cache_free(cache, item)
    kmem_cache_destroy(cache)
    areas = [vmalloc_node(3 * PAGE_SIZE, node), vzalloc_node(3 * PAGE_SIZE, node)]
    assert {page_to_nid(vmalloc_to_page(p + PAGE_SIZE)) for p in areas} == {node}
    assert areas[1][0:PAGE_SIZE] == bytes(PAGE_SIZE)
    for p in areas:
        vfree(p)


def test_a_page_by_its_number_and_address(kernel):
    page = alloc_page(GFP_KERNEL)
    pfn = page_to_pfn(page)
    assert pfn_valid(pfn)
    assert pfn_to_page(pfn) is page
    assert pfn_to_kaddr(pfn) == page_address(page)
    assert virt_to_pfn(page_address(page) + 5) == pfn
    assert not pfn_valid(1 << 40)
    __free_page(page)


def test_clearing_and_copying_pages(kernel):
    a, b = (__get_free_page(GFP_KERNEL) for _ in range(2))
    clear_page(a)
    a[100:104] = b"abcd"
    copy_page(b, a)
    assert b[0:PAGE_SIZE] == a[0:PAGE_SIZE] == bytes(100) + b"abcd" + bytes(PAGE_SIZE - 104)
    memzero_page(pfn_to_page(virt_to_pfn(b)), 101, 2)
    assert b[100:104] == b"a\0\0d"
    free_page(a)
    free_page(b)


def test_references_of_a_page(kernel):
    page = alloc_pages(GFP_KERNEL | __GFP_COMP, 2)
    assert (compound_nr(page), page_mapped(page)) == (4, False)
    assert try_get_page(page + 1)
    assert page_count(page) == 2
    assert not put_page_testzero(page)
    set_page_count(page, 3)
    assert page_count(page) == 3
    init_page_count(page)
    put_page(page)
    page = alloc_page(GFP_KERNEL)
    page.private = 77
    assert page_private(page) == 77
    page.private = 0
    free_hot_page(page)
    free_cold_page(alloc_page(GFP_KERNEL))


def test_pageblocks(kernel):
    page = alloc_page(GFP_KERNEL)
    before = get_pageblock_migratetype(page)
    assert before == get_pageblock_flags_group(page, 0, 2)
    for kind in (MIGRATE_MOVABLE, MIGRATE_UNMOVABLE):
        set_pageblock_flags_group(page, kind, 0, 2)
        assert get_pageblock_migratetype(page) == kind
    set_pageblock_flags_group(page, before, 0, 2)
    __free_page(page)


def test_watermarks_are_computed_anew(kernel):
    page = alloc_page(GFP_KERNEL)
    zone = page_zone(page)
    before = zone.watermark.min
    kernel.write_file("/proc/sys/vm/min_free_kbytes", "2048\n")
    assert zone.watermark.min > before
    raised = zone.watermark.min
    setup_per_zone_wmarks()
    assert zone.watermark.min == raised
    __free_page(page)


def test_available_memory_goes_down_with_what_is_taken(kernel):
    before = si_mem_available()
    page = alloc_pages(GFP_KERNEL, 4)
    assert si_mem_available() <= before - 16
    __free_pages(page, 4)


def test_pieces_of_a_page_are_aligned(kernel):
    cache = page_frag_cache()
    pieces = [page_frag_alloc_align(cache, 100, GFP_KERNEL, 64) for _ in range(3)]
    assert [p % 64 for p in pieces] == [0, 0, 0]
    assert len({*pieces}) == 3
    for p in pieces:
        page_frag_free(p)
    __page_frag_cache_drain(cache.page, cache.pagecnt_bias)


def test_pinned_scope_nests(kernel):
    outer = memalloc_pin_save()
    inner = memalloc_pin_save()
    assert inner
    memalloc_pin_restore(inner)
    memalloc_pin_restore(outer)
    assert not outer


# -- slab ----------------------------------------------------------------------------------------------------------------------


def test_an_array_grows_and_keeps_its_contents(kernel):
    p = kmalloc_track_caller(16, GFP_KERNEL)
    p[0:16] = bytes(range(16))
    p = krealloc_array(p, 100, 8, GFP_KERNEL)
    assert p[0:16] == bytes(range(16))
    assert krealloc_array(p, 1 << 40, 1 << 40, GFP_KERNEL) == NULL
    kzfree(p)
    kfree(NULL)


# -- addresses -------------------------------------------------------------------------------------------------------------------


def test_reserving_addresses(kernel):
    space = kernel.layout.vmalloc_start, kernel.layout.vmalloc_end
    areas = [
        get_vm_area_caller(PAGE_SIZE, VM_IOREMAP, None),
        __get_vm_area(PAGE_SIZE, VM_IOREMAP, *space),
        __get_vm_area_caller(PAGE_SIZE, VM_IOREMAP, *space, None),
    ]
    assert len({int(area.addr) for area in areas}) == 3
    for area in areas:
        assert find_vm_area(area.addr) == area
        free_vm_area(area)


def test_unmapping_a_range_leaves_nothing_to_read(kernel):
    p = vmalloc_node(PAGE_SIZE, 0)
    p[0] = 1
    vunmap_range(p, p + PAGE_SIZE)
    assert vmalloc_to_page(p) == NULL
    vfree(p)


# -- registers -------------------------------------------------------------------------------------------------------------------

REGISTER_FORMS = [
    ("writeb_relaxed readb_relaxed", 1),
    ("writew_relaxed readw_relaxed", 2),
    ("writel_relaxed readl_relaxed", 4),
    ("writeq_relaxed readq_relaxed", 8),
    ("iowrite8 ioread8", 1),
    ("iowrite16 ioread16", 2),
    ("iowrite32 ioread32", 4),
    ("iowrite64 ioread64", 8),
]


@pytest.mark.parametrize(("names", "width"), REGISTER_FORMS)
def test_a_register_of_each_width(kernel, names, width):
    write, read = (getattr(io, name) for name in names.split())
    kernel.mmio(BAR, 0x1000)
    regs = io.ioremap(BAR, 0x1000)
    value = int.from_bytes(bytes(range(0x81, 0x81 + width)), "little")
    write(value, regs + 8)
    assert read(regs + 8) == value
    assert read(regs + 8 + width) == 0
    io.iounmap(regs)


@pytest.mark.parametrize("name", ["ioremap_nocache", "ioremap_uc"])
def test_uncached_mappings(kernel, name):
    kernel.mmio(BAR, 0x1000)
    regs = getattr(io, name)(BAR, 0x1000)
    assert io.is_ioremap_addr(regs)
    io.writel(7, regs)
    assert io.readl(regs) == 7
    io.iounmap(regs)
    assert not io.is_ioremap_addr(NULL)


def test_regions_of_any_tree(kernel):
    region = __request_region(iomem_resource, BAR, 0x100, "one")
    assert region.name == "one"
    wanted = resource(start=BAR, end=BAR + 0xFF, name="two", flags=IORESOURCE_MEM)
    assert request_resource_conflict(iomem_resource, wanted) is region
    __release_region(iomem_resource, BAR, 0x100)
    assert request_resource_conflict(iomem_resource, wanted) == NULL
    assert release_resource(wanted) == 0
    assert request_mem_region_exclusive(BAR, 0x100, "three")
    assert request_mem_region_exclusive(BAR, 0x100, "four") == NULL
    release_mem_region(BAR, 0x100)


# -- user memory -----------------------------------------------------------------------------------------------------------------


def test_copies_for_a_caller_that_has_checked(kernel):
    process = kernel.user()
    there = process.buffer(16)
    source = kmalloc_track_caller(8, GFP_KERNEL)
    source[0:8] = b"12345678"
    assert __copy_to_user_inatomic(there, source, 8) == 0
    assert raw_copy_to_user(there + 8, source, 4) == 0
    assert __put_user(0x41424344, there + 12, u32) == 0
    assert process.load(there, 16) == b"123456781234DCBA"
    copy = vmemdup_user(there, 16)
    assert copy[0:16] == b"123456781234DCBA"
    kvfree(copy)
    assert __clear_user(there, 8) == 0
    assert process.load(there, 16) == bytes(8) + b"1234DCBA"
    assert __clear_user(0x10, 8) == 8
    kfree(source)


# -- files -----------------------------------------------------------------------------------------------------------------------


def test_helpers_of_a_files_operations(kernel):
    seen = {}

    def opened(inode, file):
        inode.i_private = "state"
        i_size_write(inode, 100)
        seen["open"] = simple_open(inode, file), file.private_data, file_inode(file) is inode, i_size_read(inode)
        return 0

    def moved(file, offset, whence):
        seen["outside"] = vfs_setpos(file, 101, 100)
        return generic_file_llseek(file, offset, whence)

    operations = file_operations(open=opened, llseek=moved)
    assert __register_chrdev(240, 0, 2, "helpers", operations) == 0
    kernel.devtmpfs.mknod("/dev/helpers0", 240 << 20)
    process = kernel.user()
    fd = process.open("/dev/helpers0")
    assert seen["open"] == (0, "state", True, 100)
    assert process.lseek(fd, -10, 2) == 90
    assert seen["outside"] == -EINVAL
    process.close(fd)
    __unregister_chrdev(240, 0, 2, "helpers")
