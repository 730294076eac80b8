"""<linux/list.h>: nodes in memory, nodes of Python's, and both on one list."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.list import (
    HLIST_HEAD,
    INIT_LIST_HEAD,
    LIST_HEAD,
    hlist_add_head,
    hlist_del,
    hlist_del_init,
    hlist_empty,
    hlist_for_each_entry,
    hlist_for_each_entry_safe,
    hlist_node,
    hlist_unhashed,
    list_add,
    list_add_tail,
    list_count_nodes,
    list_del,
    list_del_init,
    list_empty,
    list_first_entry,
    list_first_entry_or_null,
    list_for_each,
    list_for_each_entry,
    list_for_each_entry_reverse,
    list_for_each_entry_safe,
    list_head,
    list_is_first,
    list_is_last,
    list_is_singular,
    list_last_entry,
    list_move,
    list_move_tail,
    list_next_entry,
    list_prev_entry,
    list_replace,
    list_replace_init,
    list_splice,
    list_splice_init,
    list_splice_tail,
    list_splice_tail_init,
)
from kmock.linux.slab import kfree, kmalloc, kzalloc
from kmock.linux.types import NULL, Struct, addressof, sizeof, u64


class item(Struct):
    value: u64
    node: list_head


class plain:
    def __init__(self, value):
        self.value = value
        self.node = list_head()
        self.hash = hlist_node()


def in_memory(value):
    one = item.at(kmalloc(sizeof(item), GFP_KERNEL))
    one.value = value
    return one


@pytest.fixture(params=[in_memory, plain], ids=["in-memory", "plain"])
def make(request):
    made = []
    with kmock.boot() as k:

        def make(value):
            made.append(request.param(value))
            return made[-1]

        make.type = item if request.param is in_memory else plain
        yield make
        for one in made:
            if isinstance(one, item):
                INIT_LIST_HEAD(one.node)
                kfree(addressof(one))
        k.shutdown()
        assert not k.reports.unexpected


class TestLists:
    def test_queue_and_stack(self, make):
        head = LIST_HEAD("head")
        assert list_empty(head)
        for n in (1, 2, 3):
            list_add_tail(make(n).node, head)
        list_add(make(0).node, head)
        assert [one.value for one in list_for_each_entry(head, make.type, "node")] == [0, 1, 2, 3]
        assert [one.value for one in list_for_each_entry_reverse(head, make.type, "node")] == [3, 2, 1, 0]
        assert list_count_nodes(head) == len(list(list_for_each(head))) == 4
        assert list_first_entry(head, make.type, "node").value == 0
        assert list_last_entry(head, make.type, "node").value == 3

    def test_deleting_while_walking(self, make):
        head = LIST_HEAD()
        for n in range(4):
            list_add_tail(make(n).node, head)
        for one in list_for_each_entry_safe(head, make.type, "node"):
            if one.value % 2:
                list_del(one.node)
        assert [one.value for one in list_for_each_entry(head, make.type, "node")] == [0, 2]

    def test_neighbours(self, make):
        head = LIST_HEAD()
        a, b = make(1), make(2)
        list_add_tail(a.node, head)
        assert list_is_singular(head)
        list_add_tail(b.node, head)
        assert list_is_first(a.node, head)
        assert list_is_last(b.node, head)
        assert list_next_entry(a, "node").value == 2
        assert list_prev_entry(b, "node").value == 1

    def test_moving_and_replacing(self, make):
        one, two = LIST_HEAD(), LIST_HEAD()
        a, b, c = make(1), make(2), make(3)
        list_add(a.node, one)
        list_add(b.node, two)
        list_move(a.node, two)
        assert list_empty(one)
        list_move_tail(a.node, two)
        INIT_LIST_HEAD(c.node)
        list_replace(b.node, c.node)
        assert [e.value for e in list_for_each_entry(two, make.type, "node")] == [3, 1]
        list_replace_init(a.node, b.node)
        assert [e.value for e in list_for_each_entry(two, make.type, "node")] == [3, 2]
        assert list_empty(a.node)

    def test_splicing(self, make):
        one, two = LIST_HEAD(), LIST_HEAD()
        for n in (1, 2):
            list_add_tail(make(n).node, one)
        for n in (3, 4):
            list_add_tail(make(n).node, two)
        list_splice_init(two, one)
        assert [e.value for e in list_for_each_entry(one, make.type, "node")] == [3, 4, 1, 2]
        assert list_empty(two)
        list_splice_tail_init(one, two)
        assert [e.value for e in list_for_each_entry(two, make.type, "node")] == [3, 4, 1, 2]

    @pytest.mark.parametrize(("splice", "expected"), [(list_splice, [3, 1, 2]), (list_splice_tail, [1, 2, 3])])
    def test_splicing_leaves_the_other_head_alone(self, make, splice, expected):
        one, two = LIST_HEAD(), LIST_HEAD()
        for n in (1, 2):
            list_add_tail(make(n).node, one)
        only = make(3)
        list_add_tail(only.node, two)
        splice(two, one)
        assert [e.value for e in list_for_each_entry(one, make.type, "node")] == expected
        assert not list_empty(two)

    def test_a_walk_that_never_comes_back_ends_at_once(self, make):
        head = LIST_HEAD()
        entries = [make(n) for n in range(3)]
        for entry in entries:
            list_add_tail(entry.node, head)
        entries[2].node.next = entries[1].node
        k = kmock.current.current.get()
        with k.expect("list-corruption"), pytest.raises(kmock.Deadlock):
            for _ in list_for_each_entry(head, make.type, "node"):
                pass

    def test_a_queue_that_is_rotated_while_it_is_walked_comes_to_its_end(self, make):
        head, turns = LIST_HEAD(), 0
        entries = [make(n) for n in range(5)]
        for entry in entries:
            list_add_tail(entry.node, head)
        for entry in list_for_each_entry_safe(head, make.type, "node"):
            turns += 1
            if turns < 200:
                list_move_tail(entry.node, head)
        assert turns >= 200

    def test_an_empty_list_has_no_first(self, make):
        head = LIST_HEAD()
        assert list_first_entry_or_null(head, make.type, "node") == NULL
        list_del_init(head)
        assert list_empty(head)


class TestMixed:
    def test_both_sorts_on_one_list(self):
        with kmock.boot() as k:
            head = LIST_HEAD()
            a, b = in_memory(1), plain(2)
            list_add_tail(a.node, head)
            list_add_tail(b.node, head)
            assert a.node.next is b.node
            assert b.node.prev is a.node
            list_del(b.node)
            list_del(a.node)
            assert list_empty(head)
            kfree(addressof(a))
            assert not k.reports


class TestMistakes:
    @pytest.fixture
    def k(self):
        with kmock.boot() as kernel:
            yield kernel

    def test_walking_over_an_uninitialised_head_oopses(self, k):
        one = item.at(kzalloc(sizeof(item), GFP_KERNEL))
        with pytest.raises(kmock.KernelOops), k.expect("null-deref"):
            list(list_for_each(one.node))

    def test_walking_on_from_a_deleted_entry_oopses(self, k):
        head = LIST_HEAD()
        one = in_memory(1)
        list_add(one.node, head)
        with pytest.raises(kmock.KernelOops), k.expect("wild-pointer-deref") as found:
            for entry in list_for_each_entry(head, item, "node"):
                list_del(entry.node)
        assert found[0].attributes["address"] == 0xDEAD000000000100

    def test_double_add(self, k):
        head = LIST_HEAD()
        one = plain(1)
        list_add(one.node, head)
        with k.expect("list-double-add", count=1) as found:
            list_add(one.node, head)
        assert found[0].headline.startswith("list_add double add: new=")

    def test_freeing_what_is_listed(self, k):
        head = LIST_HEAD()
        one, two = in_memory(1), in_memory(2)
        list_add(one.node, head)
        list_add(two.node, head)
        with k.expect("free-while-on-list", count=1) as found:
            kfree(addressof(one))
        assert found[0].object.address == int(addressof(one))
        list_add(plain(3).node, head)
        list_del(two.node)
        assert len(k.reports) == 1
        assert found[0].followed_by

    def test_what_hangs_on_a_list_is_not_lost(self, k):
        head = LIST_HEAD()
        for n in range(3):
            list_add_tail(in_memory(n).node, head)
        k.shutdown()
        assert {r.kind for r in k.reports} == {"leak-reachable"}
        assert not list_is_singular(head)


class TestHashLists:
    def test_adding_walking_deleting(self):
        with kmock.boot():
            head = HLIST_HEAD("bucket")
            entries = [plain(n) for n in range(3)]
            for entry in entries:
                hlist_add_head(entry.hash, head)
            assert [e.value for e in hlist_for_each_entry(head, plain, "hash")] == [2, 1, 0]
            for entry in hlist_for_each_entry_safe(head, plain, "hash"):
                hlist_del(entry.hash)
            assert hlist_empty(head)
            assert hlist_unhashed(entries[0].hash)
            hlist_del_init(entries[0].hash)
