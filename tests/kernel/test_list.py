"""Walks over lists: what the loop's variable is when the loop is over."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.list import (
    LIST_HEAD,
    list_add_tail,
    list_del,
    list_for_each_entry,
    list_for_each_entry_reverse,
    list_for_each_entry_safe,
    list_head,
)
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import Struct, sizeof, u32

WALKS = (list_for_each_entry, list_for_each_entry_safe, list_for_each_entry_reverse)


class Item(Struct):
    number: u32
    node: list_head


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


@pytest.fixture
def queue(k):
    head = LIST_HEAD("queue")
    for number in range(3):
        item = Item.at(kmalloc(sizeof(Item), GFP_KERNEL))
        item.number = number
        list_add_tail(item.node, head)
    yield head
    for item in list_for_each_entry_safe(head, Item, "node"):
        list_del(item.node)
        kfree(item)


class TestAfterTheLoop:
    @pytest.mark.parametrize("walk", WALKS)
    def test_the_variable_is_no_entry(self, k, queue, walk):
        for item in walk(queue, Item, "node"):
            assert item.number < 3
        with k.expect("iterator-after-loop", count=1):
            item.number

    @pytest.mark.parametrize("walk", WALKS)
    def test_after_a_break_it_is(self, k, queue, walk):
        for item in walk(queue, Item, "node"):
            if item.number == 1:
                break
        assert item.number == 1
        assert not k.reports

    def test_freeing_it_is_the_same_mistake(self, k, queue):
        for item in list_for_each_entry(queue, Item, "node"):
            assert item
        with k.expect("iterator-after-loop", count=1):
            kfree(item)

    def test_what_was_kept_inside_stays_an_entry(self, k, queue):
        for item in list_for_each_entry(queue, Item, "node"):
            last = item
        assert last.number == 2
        assert not k.reports

    def test_collections_hold_entries(self, k, queue):
        entries = [item for item in list_for_each_entry(queue, Item, "node")]  # noqa: C416 -- a loop of its own
        assert [item.number for item in entries] == [0, 1, 2]
        assert [item.number for item in list(list_for_each_entry(queue, Item, "node"))] == [0, 1, 2]
        assert max(list_for_each_entry(queue, Item, "node"), key=lambda item: item.number).number == 2
        assert not k.reports

    def test_an_empty_list_has_none(self, k):
        assert list(list_for_each_entry(LIST_HEAD("empty"), Item, "node")) == []
