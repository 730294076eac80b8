"""The graph of lock orders: what it finds is what a model finds that looks at everything anew each time."""

from __future__ import annotations

import itertools
import random

import pytest

from kmock.sanitizers import lock_graph
from kmock.sanitizers.lock_class import LockClass
from kmock.sanitizers.lock_graph import BACKWARDS, EXCLUSIVE, FORWARDS, RECURSIVE, SHARED, connect, cycle, walk

MODES = (EXCLUSIVE, SHARED, RECURSIVE)


class Model:
    """Every order that was seen, as (outer, how it was held, inner, how it was taken)."""

    def __init__(self):
        self.seen = set()

    def strong(self, first, then):
        """Whether ``-(*x)-> -(y*)->`` holds somebody up: not where a recursive reader meets a shared holder."""
        return not (first[3] == RECURSIVE and then[1] != EXCLUSIVE)

    def reach(self, start):
        """Every edge at the end of a strong path that begins with edge ``start``."""
        found, waiting = {start}, [start]
        while waiting:
            last = waiting.pop()
            for edge in self.seen:
                if edge[0] == last[2] and self.strong(last, edge) and edge not in found:
                    found.add(edge)
                    waiting.append(edge)
        return found

    def closes(self, new):
        """Whether ``new`` would close a strong cycle."""
        return any(last[2] == new[0] and self.strong(last, new) for last in self.reach(new) - {new})


def classes(n):
    return [LockClass(f"c{i}", i) for i in range(n)]


@pytest.mark.parametrize("seed", range(60))
def test_cycles_are_what_the_model_finds(seed):
    chance = random.Random(seed)
    nodes = classes(chance.randint(2, 7))
    model = Model()
    for _ in range(60):
        first, second = chance.sample(range(len(nodes)), 2)
        held, taken = chance.choice(MODES), chance.choice(MODES)
        way = cycle(nodes[first], held, nodes[second], taken)
        assert bool(way) == model.closes((first, held, second, taken)), (first, held, second, taken)
        if way is None:
            connect(nodes[first], held, nodes[second], taken, ((), ()))
            model.seen.add((first, held, second, taken))
        else:
            path = [step.cls for step in way.path()]
            assert (path[0], path[-1]) == (nodes[second], nodes[first])
            assert all(b in a.after for a, b in itertools.pairwise(path))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("direction", [FORWARDS, BACKWARDS])
def test_what_is_visited_is_what_the_model_reaches(seed, direction):
    chance = random.Random(seed)
    nodes = classes(6)
    model = Model()
    for _ in range(9):
        first, second = sorted(chance.sample(range(6), 2))
        held, taken = chance.choice(MODES), chance.choice(MODES)
        connect(nodes[first], held, nodes[second], taken, ((), ()))
        model.seen.add((first, held, second, taken))
    for root, node in enumerate(nodes):
        visited = {nodes.index(step.cls) for step in walk(node, direction, weak=False)}
        if direction is FORWARDS:
            wanted = {edge[2] for start in model.seen if start[0] == root for edge in model.reach(start)}
        else:
            wanted = {start[0] for start in model.seen if any(edge[2] == root for edge in model.reach(start))}
        assert visited == wanted | {root}


def test_the_shortest_way_is_shown():
    a, b, c, d = classes(4)
    for first, second in ((a, b), (b, c), (c, d), (a, d)):
        connect(first, EXCLUSIVE, second, EXCLUSIVE, ((), ()))
    way = cycle(d, EXCLUSIVE, a, EXCLUSIVE)
    assert [step.cls for step in way.path()] == [a, d]


def test_recursive_readers_do_not_wait_for_readers():
    a, b = classes(2)
    connect(a, SHARED, b, RECURSIVE, ((), ()))
    assert cycle(b, SHARED, a, RECURSIVE) is None
    assert cycle(b, EXCLUSIVE, a, EXCLUSIVE) is not None
    # The same order, seen with a writer: now it holds readers up too.
    connect(a, SHARED, b, EXCLUSIVE, ((), ()))
    assert cycle(b, SHARED, a, EXCLUSIVE) is not None


def test_an_edge_is_new_once():
    a, b = classes(2)
    assert connect(a, EXCLUSIVE, b, EXCLUSIVE, ((), ()), direct=False)
    assert not connect(a, EXCLUSIVE, b, SHARED, ((), ()))
    assert a.after[b].direct
    assert b.before[a] is a.after[b]


def test_a_class_that_goes_takes_its_edges_along():
    a, b, c = classes(3)
    connect(a, EXCLUSIVE, b, EXCLUSIVE, ((), ()))
    connect(b, EXCLUSIVE, c, EXCLUSIVE, ((), ()))
    lock_graph.disconnect(b)
    assert (a.after, b.after, b.before, c.before) == ({}, {}, {}, {})
    assert cycle(c, EXCLUSIVE, a, EXCLUSIVE) is None
