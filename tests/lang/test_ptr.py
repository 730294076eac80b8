"""Pointers: arithmetic as in C, provenance, loads and stores."""

from __future__ import annotations

import pickle

import pytest

import kmock
from kmock.lang.ptr import make_ptr
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import NULL, Ptr


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def p(k):
    memory = kmalloc(64, GFP_KERNEL)
    memory[0:64] = bytes(range(64))
    yield memory
    kfree(memory)


class TestArithmetic:
    def test_a_sum_is_a_pointer_of_the_same_origin(self, p):
        q = p + 4
        assert isinstance(q, Ptr)
        assert q.origin is p.origin
        assert (4 + p).origin is p.origin

    def test_a_difference_of_pointers_is_a_number(self, p):
        assert (p + 12) - p == 12
        assert not isinstance((p + 12) - p, Ptr)
        assert ((p + 12) - 8) == p + 4
        assert isinstance((p + 12) - 8, Ptr)

    def test_it_wraps_at_64_bits(self):
        assert Ptr((1 << 64) - 1) + 2 == 1
        assert NULL - 1 == (1 << 64) - 1

    def test_a_mask_of_high_bits_keeps_a_pointer(self, p):
        assert isinstance(p & ~0xFFF, Ptr)
        assert type(p & 7) is int

    def test_null_is_false(self, p):
        assert not NULL
        assert p
        assert NULL == 0
        assert Ptr(0) == NULL

    def test_text(self):
        assert repr(NULL) == "NULL"
        assert f"{Ptr(0x1000)} {Ptr(0x1000):x}" == "0x1000 1000"

    def test_pickling_drops_the_origin(self, p):
        copy = pickle.loads(pickle.dumps(p))
        assert copy == p
        assert copy.origin is None


class TestAccess:
    def test_bytes(self, p):
        assert p[3] == 3
        assert p[2:5] == b"\2\3\4"
        p[3] = 0x1FF
        assert p[3] == 0xFF
        p[0:2] = b"ab"
        assert p[0:2] == b"ab"

    def test_an_empty_slice_touches_nothing(self, p):
        assert p[64:64] == b""
        assert p[100:90] == b""

    def test_a_slice_needs_an_end(self, p):
        with pytest.raises(TypeError, match="no length"):
            p[3:]
        with pytest.raises(TypeError, match="no length"):
            list(p)

    def test_a_slice_takes_as_many_bytes_as_it_has(self, p):
        with pytest.raises(ValueError, match="takes 4 bytes, got 3"):
            p[0:4] = b"abc"

    def test_typed_views(self, p):
        p.u32[1] = 0x11223344
        assert p[4:8] == b"\x44\x33\x22\x11"
        assert p.be32[1] == 0x44332211
        p.be16[0] = 0x0102
        assert p[0:2] == b"\1\2"
        p.s8[0] = -1
        assert p.u8[0] == 255
        assert p.s8[0] == -1
        p.u64[1] = -1
        assert p.s64[1] == -1
        assert p.le64[1] == (1 << 64) - 1

    def test_without_a_kernel_there_is_advice(self):
        with pytest.raises(kmock.NoKernelError, match="boot"):
            Ptr(0x1000)[0]


class TestProvenance:
    def test_it_survives_memory(self, p):
        q = p + 8
        p.ptr[2] = q
        assert p.ptr[2] == q
        assert p.ptr[2].origin is p.origin

    def test_it_survives_a_u64(self, p):
        p.u64[2] = p + 8
        assert p.ptr[2].origin is p.origin

    def test_it_is_lost_when_the_word_changes(self, p):
        p.ptr[2] = p + 8
        p.u64[2] = int(p) + 16
        assert p.ptr[2] == p + 16
        assert p.ptr[2].origin is None

    def test_it_is_copied_with_the_bytes(self, k, p):
        from kmock.linux.string import memcpy

        q = kmalloc(64, GFP_KERNEL)
        p.ptr[1] = p + 8
        memcpy(q, p, 64)
        assert q.ptr[1].origin is p.origin
        kfree(q)

    def test_a_jump_over_the_redzone_is_found(self, k, p):
        q = kmalloc(64, GFP_KERNEL)
        with k.expect("slab-redzone-jump", count=1):
            p[int(q) - int(p)] = 1
        assert q[0] == 1
        kfree(q)

    def test_a_bare_number_is_checked_by_its_address(self, k, p):
        bare = Ptr(int(p))
        assert bare[5] == 5
        with k.expect("slab-out-of-bounds-right", count=1):
            bare[64]

    def test_a_pointer_can_be_made_of_parts(self, p):
        assert make_ptr(int(p), p.origin)[1] == 1
