"""Scatterlists: the helpers, tables, and what is copied through them."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.errno import EINVAL, ENOMEM
from kmock.linux.gfp import GFP_KERNEL, alloc_page, alloc_pages, free_pages, get_free_pages
from kmock.linux.io import virt_to_phys
from kmock.linux.mm import __free_page as free_one
from kmock.linux.mm import __free_pages as free_block
from kmock.linux.mm import virt_to_page
from kmock.linux.preempt import preempt_count
from kmock.linux.scatterlist import (
    SG_MAX_SINGLE_ALLOC,
    SG_MITER_ATOMIC,
    SG_MITER_TO_SG,
    for_each_sg,
    for_each_sgtable_dma_sg,
    for_each_sgtable_sg,
    scatterlist,
    sg_alloc_table,
    sg_alloc_table_from_pages,
    sg_alloc_table_from_pages_segment,
    sg_assign_page,
    sg_chain,
    sg_chain_ptr,
    sg_copy_from_buffer,
    sg_copy_to_buffer,
    sg_free_table,
    sg_init_one,
    sg_init_table,
    sg_is_chain,
    sg_is_last,
    sg_last,
    sg_mapping_iter,
    sg_mark_end,
    sg_miter_next,
    sg_miter_skip,
    sg_miter_start,
    sg_miter_stop,
    sg_nents,
    sg_nents_for_len,
    sg_next,
    sg_page,
    sg_pcopy_from_buffer,
    sg_pcopy_to_buffer,
    sg_phys,
    sg_set_buf,
    sg_set_page,
    sg_table,
    sg_unmark_end,
    sg_virt,
    sg_zero_buffer,
)
from kmock.linux.slab import kfree, kmalloc, kzalloc
from kmock.linux.types import NULL


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert not kernel.reports


def entries(n):
    sg = [scatterlist() for _ in range(n)]
    sg_init_table(sg, n)
    return sg


class TestEntries:
    def test_a_buffer_becomes_page_and_offset(self, k):
        p = kzalloc(256, GFP_KERNEL)
        sg = scatterlist()
        sg_init_one(sg, p + 16, 64)
        assert sg_page(sg) is virt_to_page(p)
        assert (sg.offset, sg.length) == ((p + 16) % 4096, 64)
        assert sg_virt(sg) == p + 16
        assert sg_phys(sg) == virt_to_phys(p) + 16
        assert sg_is_last(sg)
        kfree(p)

    def test_assigning_a_page_leaves_offset_and_length(self, k):
        page = alloc_page(GFP_KERNEL)
        other = alloc_page(GFP_KERNEL)
        (sg,) = entries(1)
        sg_set_page(sg, page, 100, 8)
        sg_assign_page(sg, other)
        assert sg_page(sg) is other
        assert (sg.offset, sg.length) == (8, 100)
        free_one(page)
        free_one(other)

    def test_the_end_is_a_mark_that_moves(self, k):
        sg = entries(3)
        assert sg_nents(sg) == 3
        sg_mark_end(sg[1])
        assert sg_nents(sg) == 2
        assert sg_next(sg[1]) == NULL
        sg_unmark_end(sg[1])
        assert sg_next(sg[1]) is sg[2]
        assert sg_last(sg, 3) is sg[2]

    def test_a_link_leads_to_the_next_array(self, k):
        first, second = entries(3), entries(2)
        sg_chain(first, 3, second)
        assert sg_is_chain(first[2])
        assert sg_chain_ptr(first[2]) is second[0]
        assert sg_chain_ptr(first[0]) == NULL
        assert [sg for sg, _ in for_each_sg(first, 4)] == [first[0], first[1], second[0], second[1]]
        assert sg_nents(first) == 4

    def test_how_many_entries_some_bytes_take(self, k):
        p = kzalloc(300, GFP_KERNEL)
        sg = entries(3)
        for i, one in enumerate(sg):
            sg_set_buf(one, p + 100 * i, 100)
        assert [sg_nents_for_len(sg, n) for n in (0, 1, 100, 101, 300)] == [0, 1, 1, 2, 3]
        assert sg_nents_for_len(sg, 301) == -EINVAL
        kfree(p)

    def test_walking_past_the_last_is_a_null_dereference(self):
        with kmock.boot() as k:
            sg = entries(2)
            with pytest.raises(kmock.KernelOops):
                list(for_each_sg(sg, 3))
            assert k.reports


class TestTables:
    @pytest.mark.parametrize("nents", [1, 127, 128, 129, 300])
    def test_a_table_has_as_many_entries_as_asked_for(self, k, nents):
        table = sg_table()
        assert sg_alloc_table(table, nents, GFP_KERNEL) == 0
        assert (table.nents, table.orig_nents) == (nents, nents)
        assert sum(1 for _ in for_each_sgtable_sg(table)) == nents
        assert sg_nents(table.sgl) == nents
        sg_free_table(table)
        assert table.sgl is None

    def test_longer_tables_are_chained(self, k):
        table = sg_table()
        sg_alloc_table(table, SG_MAX_SINGLE_ALLOC + 1, GFP_KERNEL)
        assert sg_is_chain(table.sgl.array[-1])
        sg_free_table(table)

    def test_no_entries_are_no_table(self, k):
        assert sg_alloc_table(sg_table(), 0, GFP_KERNEL) == -EINVAL

    def test_without_memory_nothing_is_left(self):
        with kmock.boot() as k:
            table = sg_table()
            k.faults.fail_nth(1)
            assert sg_alloc_table(table, 4, GFP_KERNEL) == -ENOMEM
        assert not [r for r in k.reports if "leak" in r.kind]

    def test_neighbouring_pages_become_one_entry(self, k):
        block = alloc_pages(GFP_KERNEL, 2)
        pages = [block, block + 1, block + 3]
        table = sg_table()
        assert sg_alloc_table_from_pages(table, pages, 3, 100, 3 * 4096 - 200, GFP_KERNEL) == 0
        assert [(sg.offset, sg.length) for sg, _ in for_each_sgtable_dma_sg(table)] == [(100, 8092), (0, 3996)]
        sg_free_table(table)
        assert sg_alloc_table_from_pages_segment(table, pages, 2, 0, 8192, 4096, GFP_KERNEL) == 0
        assert table.nents == 2
        sg_free_table(table)
        free_block(block, 2)

    def test_a_table_that_is_not_freed_is_a_leak(self):
        with kmock.boot() as k:
            sg_alloc_table(sg_table(), 4, GFP_KERNEL)
        assert [r.kind for r in k.reports] == ["leak-unreachable"]


class TestContents:
    @pytest.fixture
    def sg(self, k):
        p = get_free_pages(GFP_KERNEL, 1)
        p[0:8192] = bytes(8192)
        sg = entries(2)
        sg_set_buf(sg[0], p + 4000, 200)
        sg_set_buf(sg[1], p, 100)
        yield sg
        free_pages(p, 1)

    def test_bytes_go_in_and_come_out(self, k, sg):
        data = kmalloc(300, GFP_KERNEL)
        data[0:300] = bytes(i % 251 for i in range(300))
        assert sg_copy_from_buffer(sg, 2, data, 300) == 300
        out = kmalloc(300, GFP_KERNEL)
        assert sg_copy_to_buffer(sg, 2, out, 300) == 300
        assert out[0:300] == data[0:300]
        assert sg_pcopy_to_buffer(sg, 2, out, 50, 190) == 50
        assert out[0:50] == data[190:240]
        assert sg_pcopy_from_buffer(sg, 2, data, 300, 290) == 10
        assert sg_zero_buffer(sg, 2, 100, 150) == 100
        assert sg_pcopy_to_buffer(sg, 2, out, 100, 150) == 100
        assert out[0:100] == bytes(100)
        kfree(data)
        kfree(out)

    def test_an_iterator_maps_one_piece_after_the_other(self, k, sg):
        miter = sg_mapping_iter()
        sg_miter_start(miter, sg, 2, SG_MITER_ATOMIC | SG_MITER_TO_SG)
        lengths = []
        while sg_miter_next(miter):
            assert preempt_count()
            lengths.append(miter.length)
        sg_miter_stop(miter)
        assert lengths == [96, 104, 100]
        assert not preempt_count()

    def test_what_was_not_consumed_comes_again(self, k, sg):
        miter = sg_mapping_iter()
        sg_miter_start(miter, sg, 2, SG_MITER_TO_SG)
        assert sg_miter_skip(miter, 10)
        sg_miter_next(miter)
        first = miter.addr
        miter.consumed = 6
        assert sg_miter_next(miter)
        assert (miter.addr - first, miter.length) == (6, 80)
        sg_miter_stop(miter)
        assert not sg_miter_skip(miter, 1000)
