"""Variables on kernel stacks: how long they live, and what lies around them."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.types import NULL, Struct, addressof, u32


class pair(Struct):
    a: u32
    b: u32


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def test_it_lies_in_vmalloc_space_on_pages_of_its_own(k):
    buf = k.stack_buffer(64)
    assert k.layout.is_vmalloc(int(buf))
    buf[0:64] = bytes(range(64))
    assert buf[0:64] == bytes(range(64))
    assert not k.reports


def test_it_lives_as_long_as_its_function(k):
    def inner():
        buf = k.stack_buffer(16)
        buf[0] = 1
        return buf

    def outer():
        buf = k.stack_buffer(16)
        buf[0] = inner()[0:0] == b""
        return buf[0]

    assert outer() == 1
    assert not k.reports
    with k.expect("stack-use-after-return", count=1):
        inner()[0]


def test_a_generator_keeps_its_own(k):
    def fixture():
        buf = k.stack_buffer(16)
        yield buf
        buf[0] = 1

    running = fixture()
    next(running)[1] = 2
    k.stack_buffer(16)
    assert list(running) == []
    assert not k.reports


def test_its_place_is_used_again(k):
    def inner():
        return int(k.stack_buffer(16))

    assert inner() == inner()


def test_a_comprehension_is_no_function(k):
    pairs = [pair() for _ in range(3)]
    for one in pairs:
        one.a = 1
    assert not k.reports
    assert len({int(addressof(one)) for one in pairs}) == 3


def test_both_ends_are_guarded(k):
    buf = k.stack_buffer(16)
    with k.expect("stack-out-of-bounds", count=2):
        buf[16] = 1
        k.reports._by_key.clear()
        buf[-1] = 1


def test_it_is_known_through_the_direct_map_too(k):
    buf = k.stack_buffer(16)
    linear = k.layout.page_offset + k.mmu.translate(int(buf))
    assert k.mem.owner(linear) is buf.origin


def test_every_task_has_its_own(k):
    here = k.stack_buffer(16)
    with k.on_cpu(1):
        there = k.stack_buffer(16)
    assert abs(here - there) >= 1 << 20


def test_the_end_of_the_stack_is_the_end(k):
    with pytest.raises(kmock.KernelPanic) as end:
        k.stack_buffer(40_000)
    assert end.value.report.kind == "stack-overflow"


def test_what_lies_in_it_goes_with_it(k):
    told = []

    class watched:
        def memory_freed(self, kernel, about):
            told.append(about.area)

    class holder(Struct):
        head: u32
        inside: watched

    def inner():
        return holder().inside

    inner()
    k.stack_buffer(16)
    assert told == ["stack"]


def test_stacks_are_nobodys_leak(k):
    k.stack_buffer(16)
    k.shutdown()
    assert not k.reports


def test_null_is_not_on_it(k):
    assert all(region.probe(int(NULL)) is None for region in k.mem.regions)
