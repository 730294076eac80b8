"""Bytes that nobody wrote: where they may not go."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL, get_zeroed_page
from kmock.linux.gfp import __get_free_page as get_free_page
from kmock.linux.slab import kfree, kmalloc, kzalloc
from kmock.linux.string import memcpy, memset
from kmock.linux.types import Struct, sizeof, u8, u32, u64


class inner(Struct):
    kind: u8
    value: u32


class message(Struct):
    kind: u8
    value: u64
    more: inner


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


@pytest.fixture
def m(k):
    p = kmalloc(sizeof(message), GFP_KERNEL)
    yield message.at(p)
    kfree(p)


def fill(m):
    m.kind = 1
    m.value = 2
    m.more.kind = 3
    m.more.value = 4


class TestLeaving:
    def test_padding_is_told_apart(self, k, m):
        fill(m)
        report = k.kmsan.check_leaves(m._ptr, sizeof(message), 0x1000)
        assert report.kind == "infoleak-padding"
        assert report.headline.startswith("BUG: KMSAN: kernel-infoleak in test_padding_is_told_apart")
        assert "Bytes 1-7 of 24 are uninitialized" in report.lines
        assert "Never written: padding at offset 1, padding at offset 17" in report.lines

    def test_members_are_named(self, k, m):
        fill(m)
        whole = kmalloc(sizeof(message), GFP_KERNEL)
        other = message.at(whole)
        other.kind = 1
        report = k.kmsan.check_leaves(whole, sizeof(message), 0x1000)
        assert report.kind == "infoleak-heap"
        assert "more.value" in report.lines[-1]
        kfree(whole)

    def test_an_array_of_structs_has_padding_in_each(self, k):
        p = kmalloc(3 * sizeof(inner), GFP_KERNEL)
        for n in range(3):
            one = inner.at(p + n * sizeof(inner))
            one.kind = one.value = n
        assert k.kmsan.check_leaves(p, 3 * sizeof(inner)).kind == "infoleak-padding"
        kfree(p)

    def test_structs_in_an_array_member_too(self, k):
        class table(Struct):
            rows: inner[2]

        p = kmalloc(sizeof(table), GFP_KERNEL)
        t = table.at(p)
        for n in range(2):
            t.rows[n].kind = t.rows[n].value = n
        report = k.kmsan.check_leaves(p, sizeof(table))
        assert report.kind == "infoleak-padding"
        assert report.lines[-1] == "Never written: padding at offset 1, padding at offset 9"
        kfree(p)

    def test_one_byte(self, k):
        p = kmalloc(8, GFP_KERNEL)
        p[0:3] = b"abc"
        p[4:8] = b"defg"
        report = k.kmsan.check_leaves(p, 8)
        assert "Byte 3 of 8 is uninitialized" in report.lines
        kfree(p)

    @pytest.mark.parametrize("sink", ["user", "mmap", "device"])
    def test_written_bytes_may_go_anywhere(self, k, m, sink):
        memset(m, 0, sizeof(message))
        assert k.kmsan.check_leaves(m._ptr, sizeof(message), sink=sink) is None

    def test_a_part_that_was_written_may_go(self, k):
        p = kmalloc(64, GFP_KERNEL)
        p[8:16] = bytes(8)
        assert k.kmsan.check_leaves(p + 8, 8) is None
        assert k.kmsan.check_leaves(p + 8, 9) is not None
        kfree(p)

    def test_zeroed_memory_is_written(self, k):
        for p in (kzalloc(64, GFP_KERNEL), get_zeroed_page(GFP_KERNEL)):
            assert k.kmsan.check_leaves(p, 64) is None

    def test_the_kind_depends_on_the_sink(self, k):
        p = kmalloc(64, GFP_KERNEL)
        assert k.kmsan.check_leaves(p, 64, sink="device").kind == "dma-uninit-to-device"
        q = kmalloc(64, GFP_KERNEL)
        assert k.kmsan.check_leaves(q, 64, sink="mmap").kind == "mmap-uninit-exposed"
        assert k.kmsan.check_leaves(get_free_page(GFP_KERNEL), 64).kind == "page-uninit-exposed"
        s = k.stack_buffer(64)
        assert k.kmsan.check_leaves(s, 64).kind == "usercopy-uninit"

    def test_the_same_object_is_reported_once(self, k, m):
        assert k.kmsan.check_leaves(m._ptr, 8) is not None
        assert k.kmsan.check_leaves(m._ptr, 8) is None


class TestCopies:
    def test_a_copy_carries_the_holes_along(self, k, m):
        fill(m)
        p = kzalloc(sizeof(message), GFP_KERNEL)
        memcpy(p, m._ptr, sizeof(message))
        assert k.mem.unwritten(p, sizeof(message))[1] == [(1, 8), (17, 20)]
        kfree(p)

    def test_written_bytes_over_holes_fill_them(self, k, m):
        p = kmalloc(sizeof(message), GFP_KERNEL)
        memset(m, 0, sizeof(message))
        memcpy(p, m._ptr, sizeof(message))
        assert k.mem.unwritten(p, sizeof(message)) is None
        kfree(p)


class TestLoads:
    def test_are_reported_where_asked_for(self):
        with kmock.boot(uninit_loads=True) as k:
            p = kmalloc(64, GFP_KERNEL)
            p[0] = 1
            assert p[0] == 1
            with k.expect("slab-uninit-read", count=1) as found:
                p.u32[1]
            assert found[0].headline.startswith("BUG: KMSAN: uninit-value in test_are_reported_where_asked_for")
            kfree(p)

    def test_are_silent_otherwise(self, k):
        p = kmalloc(64, GFP_KERNEL)
        p[0]
        kfree(p)
        assert not k.reports
