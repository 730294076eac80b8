"""idr, ida and xarray: which numbers they give, what they find, and what is left in them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmock
from kmock.linux import xarray as xa
from kmock.linux.err import ERR_PTR
from kmock.linux.idr import (
    DEFINE_IDA,
    DEFINE_IDR,
    ida,
    ida_alloc,
    ida_alloc_max,
    ida_alloc_min,
    ida_alloc_range,
    ida_destroy,
    ida_free,
    ida_init,
    ida_is_empty,
    ida_simple_get,
    ida_simple_remove,
    idr,
    idr_alloc,
    idr_alloc_cyclic,
    idr_destroy,
    idr_find,
    idr_for_each,
    idr_for_each_entry,
    idr_get_next,
    idr_init,
    idr_is_empty,
    idr_preload,
    idr_preload_end,
    idr_remove,
    idr_replace,
)
from kmock.linux.slab import GFP_KERNEL, GFP_NOWAIT, kfree, kmalloc, kzalloc
from kmock.linux.types import NULL, Struct, sizeof, u32

if TYPE_CHECKING:
    from kmock import Kernel


class TestIdr:
    def test_gives_the_lowest_free_id(self, kernel: Kernel) -> None:
        ids = idr()
        idr_init(ids)
        assert [idr_alloc(ids, n, 5, 0, GFP_KERNEL) for n in "abc"] == [5, 6, 7]
        assert idr_remove(ids, 6) == "b"
        assert idr_remove(ids, 6) == NULL
        assert idr_alloc(ids, "d", 5, 0, GFP_KERNEL) == 6
        assert [idr_find(ids, n) for n in (5, 6, 8)] == ["a", "d", NULL]
        assert idr_alloc(ids, "e", 5, 8, GFP_KERNEL) == -errno.ENOSPC
        for n in (5, 6, 7):
            idr_remove(ids, n)
        assert idr_is_empty(ids)

    def test_cyclic_goes_on_where_it_was(self, kernel: Kernel) -> None:
        ids = DEFINE_IDR("ids")
        assert [idr_alloc_cyclic(ids, 1, 0, 3, GFP_KERNEL) for _ in range(2)] == [0, 1]
        idr_remove(ids, 0)
        assert [idr_alloc_cyclic(ids, 1, 0, 3, GFP_KERNEL) for _ in range(2)] == [2, 0]
        assert idr_alloc_cyclic(ids, 1, 0, 3, GFP_KERNEL) == -errno.ENOSPC

    def test_walks_in_order(self, kernel: Kernel) -> None:
        ids = DEFINE_IDR("ids")
        for n in (9, 3, 6):
            idr_preload(GFP_KERNEL)
            idr_alloc(ids, n * 10, n, n + 1, GFP_NOWAIT)
            idr_preload_end()
        seen: list[int] = []
        assert idr_for_each(ids, lambda id, entry, data: seen.append(id) or 0, None) == 0
        assert seen == [3, 6, 9]
        assert list(idr_for_each_entry(ids)) == [(30, 3), (60, 6), (90, 9)]
        assert idr_get_next(ids, 4) == (60, 6)
        assert idr_get_next(ids, 10) == (NULL, 10)
        assert idr_for_each(ids, lambda id, entry, data: id if id > data else 0, 3) == 6

    def test_replaces(self, kernel: Kernel) -> None:
        ids = DEFINE_IDR("ids")
        id = idr_alloc(ids, 1, 0, 0, GFP_KERNEL)
        assert idr_replace(ids, 2, id) == 1
        assert idr_find(ids, id) == 2
        assert idr_replace(ids, 3, id + 1) == ERR_PTR(-errno.ENOENT)

    def test_a_negative_start_is_a_mistake(self, kernel: Kernel) -> None:
        with kernel.expect("driver-warning"):
            assert idr_alloc(DEFINE_IDR("ids"), 1, -1, 0, GFP_KERNEL) == -errno.EINVAL

    def test_without_memory(self, kernel: Kernel) -> None:
        kernel.faults.fail_nth(1)
        assert idr_alloc(DEFINE_IDR("ids"), 1, 0, 0, GFP_KERNEL) == -errno.ENOMEM

    def test_one_that_lies_in_a_structure_is_freed_with_it(self, kernel: Kernel) -> None:
        class Owner(Struct):
            ids: idr
            n: u32

        owner = Owner.at(kzalloc(sizeof(Owner), GFP_KERNEL))
        idr_init(owner.ids)
        entry = kmalloc(8, GFP_KERNEL)
        idr_alloc(owner.ids, entry, 0, 0, GFP_KERNEL)
        with kernel.expect("idr-not-empty") as found:
            kfree(owner)
        assert found[0].lines == ("the idr is freed with 1 entry in it",)
        kfree(entry)


class TestIda:
    def test_hands_out_numbers(self, kernel: Kernel) -> None:
        ids = ida()
        ida_init(ids)
        assert [ida_alloc(ids, GFP_KERNEL) for _ in range(3)] == [0, 1, 2]
        ida_free(ids, 1)
        assert ida_alloc(ids, GFP_KERNEL) == 1
        assert ida_alloc_min(ids, 10, GFP_KERNEL) == 10
        assert ida_alloc_max(ids, 2, GFP_KERNEL) == -errno.ENOSPC
        assert ida_alloc_range(ids, 10, 11, GFP_KERNEL) == 11
        assert ida_simple_get(ids, 10, 12, GFP_KERNEL) == -errno.ENOSPC
        ida_simple_remove(ids, 10)
        assert not ida_is_empty(ids)
        ida_destroy(ids)
        assert ida_is_empty(ids)

    def test_what_is_not_out_can_not_come_back(self, kernel: Kernel) -> None:
        ids = DEFINE_IDA("ids")
        with kernel.expect("ida-free-bad") as found:
            ida_free(ids, 7)
        assert found[0].headline == "ida_free called for id=7 which is not allocated."
        ida_free(ids, -1)


class TestXArray:
    def test_stores_and_loads(self, kernel: Kernel) -> None:
        array = xa.DEFINE_XARRAY("array")
        xa.xa_init(array)
        p = kmalloc(8, GFP_KERNEL)
        assert xa.xa_store(array, 1 << 40, p, GFP_KERNEL) == NULL
        assert xa.xa_load(array, 1 << 40) == p
        assert xa.xa_load(array, 3) == NULL
        assert xa.xa_insert(array, 1 << 40, p, GFP_KERNEL) == -errno.EBUSY
        assert xa.xa_insert(array, 5, xa.xa_mk_value(77), GFP_KERNEL) == 0
        assert xa.xa_is_value(xa.xa_load(array, 5))
        assert xa.xa_to_value(xa.xa_load(array, 5)) == 77
        assert [index for index, _ in xa.xa_for_each(array)] == [5, 1 << 40]
        assert xa.xa_erase(array, 1 << 40) == p
        kfree(p)
        assert not xa.xa_empty(array)
        xa.xa_destroy(array)
        assert xa.xa_empty(array)

    def test_exchanges_what_is_there(self, kernel: Kernel) -> None:
        array = xa.DEFINE_XARRAY("array")
        assert xa.xa_cmpxchg(array, 0, NULL, "a", GFP_KERNEL) == NULL
        assert xa.xa_cmpxchg(array, 0, "b", "c", GFP_KERNEL) == "a"
        assert xa.xa_load(array, 0) == "a"
        xa.xa_erase(array, 0)

    def test_hands_out_indices(self, kernel: Kernel) -> None:
        array = xa.DEFINE_XARRAY_ALLOC1("array")
        limit = xa.XA_LIMIT(0, 2)
        assert xa.xa_alloc(array, "a", limit, GFP_KERNEL) == (0, 1)
        assert xa.xa_alloc(array, "b", limit, GFP_KERNEL) == (0, 2)
        assert xa.xa_alloc(array, "c", limit, GFP_KERNEL) == (-errno.EBUSY, 0)
        xa.xa_erase(array, 1)
        xa.xa_erase(array, 2)
        again = xa.DEFINE_XARRAY_ALLOC("again")
        assert xa.xa_alloc_cyclic(again, 1, limit, GFP_KERNEL) == (0, 0)
        assert xa.xa_alloc_cyclic(again, 1, xa.xa_limit_32b, GFP_KERNEL) == (0, 1)

    def test_marks(self, kernel: Kernel) -> None:
        array = xa.DEFINE_XARRAY("array")
        for n in range(4):
            xa.xa_store(array, n, xa.xa_mk_value(n), GFP_KERNEL)
        xa.xa_set_mark(array, 2, xa.XA_MARK_1)
        xa.xa_set_mark(array, 9, xa.XA_MARK_1)
        assert xa.xa_get_mark(array, 2, xa.XA_MARK_1)
        assert xa.xa_find(array, 0, 10, xa.XA_MARK_1) == (2, 2)
        assert xa.xa_find(array, 1, 10, xa.XA_PRESENT) == (1, 1)
        xa.xa_clear_mark(array, 2, xa.XA_MARK_1)
        assert not xa.xa_marked(array, xa.XA_MARK_1)
        assert xa.xa_find(array, 0, 10, xa.XA_MARK_1) == (NULL, 0)

    def test_without_memory(self, kernel: Kernel) -> None:
        array = xa.DEFINE_XARRAY("array")
        kernel.faults.fail_nth(1)
        failed = xa.xa_store(array, 0, "a", GFP_KERNEL)
        assert xa.xa_is_err(failed)
        assert xa.xa_err(failed) == -errno.ENOMEM
        assert xa.xa_err(NULL) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12))))
def test_ida_against_a_set(steps: list[tuple[bool, int]]) -> None:
    with kmock.boot() as kernel:
        ids, model = DEFINE_IDA("ids"), set[int]()
        for take, n in steps:
            if take:
                wanted = min(set(range(n, 14)) - model, default=-errno.ENOSPC)
                assert ida_alloc_range(ids, n, 13, GFP_KERNEL) == wanted
                model |= {wanted} - {-errno.ENOSPC}
            elif n in model:
                model.remove(n)
                ida_free(ids, n)
        assert ida_is_empty(ids) is not bool(model)
        ida_destroy(ids)
    assert not kernel.reports


@pytest.mark.parametrize("destroy", [idr_destroy, xa.xa_destroy])
def test_entries_whose_memory_lives_are_lost(kernel: Kernel, destroy) -> None:
    array = DEFINE_IDR("array") if destroy is idr_destroy else xa.DEFINE_XARRAY("array")
    p = kmalloc(8, GFP_KERNEL)
    xa.xa_store(array, 0, p, GFP_KERNEL)
    with kernel.expect("idr-not-empty"):
        destroy(array)
    kfree(p)
