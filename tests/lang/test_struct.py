"""Structs: C's layout over simulated memory."""

from __future__ import annotations

import ctypes
from typing import Annotated

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.kernel import container_of
from kmock.linux.slab import kfree, kmalloc, kzalloc
from kmock.linux.types import (
    NULL,
    Ptr,
    Struct,
    addressof,
    be16,
    be32,
    le32,
    offsetof,
    s8,
    s16,
    sizeof,
    u8,
    u16,
    u32,
    u64,
)


class spinlock_like:
    C_SIZE = 4

    def __init__(self):
        self.held = False


class inner(Struct):
    kind: u8
    value: u32


class desc(Struct):
    addr: u64
    length: u32
    flags: u16
    next: Ptr
    mac: u8[6]
    one: inner
    many: inner[2]
    low: Annotated[u32, 3]
    high: Annotated[u32, 5]
    wire: be32
    lock: spinlock_like
    back: Ptr[2]


class packed(Struct, packed=True):
    a: u8
    b: u32


class either(Struct, union=True):
    word: u64
    half: u16


class derived(inner):
    more: u64


class flexible(Struct):
    count: u32
    data: u16[0]


class C(ctypes.Structure):
    _fields_ = [("a", ctypes.c_uint8), ("b", ctypes.c_uint64)]


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def d(k):
    p = kzalloc(sizeof(desc), GFP_KERNEL)
    yield desc.at(p)
    kfree(p)


class TestLayout:
    def test_is_that_of_c(self):
        offsets = [offsetof(desc, name) for name in ("addr", "length", "flags", "next", "mac", "one", "many", "low")]
        assert offsets == [0, 8, 12, 16, 24, 32, 40, 56]
        assert offsetof(desc, "wire") == 60
        assert sizeof(desc) == 88

    def test_packed_union_and_derived(self):
        assert (sizeof(packed), offsetof(packed, "b")) == (5, 1)
        assert (sizeof(either), offsetof(either, "half")) == (8, 0)
        assert (sizeof(derived), offsetof(derived, "more")) == (16, 8)
        assert (sizeof(flexible), offsetof(flexible, "data")) == (4, 4)

    def test_a_32_bit_machine_has_small_pointers(self):
        with kmock.boot(arch="x86_32"):
            assert sizeof(derived) == 16
            assert offsetof(desc, "mac") == 20

    def test_sizeof_of_everything(self, k):
        p = kmalloc(8, GFP_KERNEL)
        assert [sizeof(t) for t in (u8, u16, u64, s8, C, inner[3], u8[7], Ptr, int, bool)] == [
            1, 2, 8, 1, 16, 24, 7, 8, 4, 1,
        ]  # fmt: skip
        assert sizeof(p) == 8
        assert sizeof(b"abc") == 3
        kfree(p)

    def test_offsetof_goes_into_members(self):
        assert offsetof(desc, "one.value") == 36
        assert offsetof(C, "b") == 8

    def test_an_unknown_member_names_those_there_are(self):
        with pytest.raises(AttributeError, match="it has kind, value"):
            offsetof(inner, "velue")

    def test_holes(self):
        assert inner.layout(64).holes() == [(1, 4)]


class TestMembers:
    def test_integers(self, d):
        d.addr = 1 << 63
        d.length = -1
        d.flags = 0x12345
        d.wire = 0x01020304
        assert (d.addr, d.length, d.flags, d.wire) == (1 << 63, 0xFFFFFFFF, 0x2345, 0x01020304)
        assert addressof(d)[60:64] == b"\1\2\3\4"

    def test_pointers_keep_their_origin(self, d):
        d.next = addressof(d) + 4
        assert d.next.origin is addressof(d).origin
        d.next = d
        assert d.next == addressof(d)
        d.next = None
        assert d.next == NULL
        d.back[1] = addressof(d)
        assert d.back[1].origin is addressof(d).origin

    def test_arrays(self, d):
        d.mac = b"abcdef"
        assert bytes(d.mac) == b"abcdef"
        assert d.mac[1:3] == b"bc"
        assert list(d.mac) == list(b"abcdef")
        d.mac[0] = 0
        assert d.mac == b"\0bcdef"
        assert len(d.mac) == 6
        with pytest.raises(ValueError, match="6 elements take as many values, got 3"):
            d.mac[0:6] = b"abc"

    def test_structs_inside(self, d):
        d.one.value = 7
        d.many[1].value = 8
        assert (d.one.value, d.many[1].value, d.many[0].value) == (7, 8, 0)
        d.many[0] = d.many[1]
        assert d.many[0].value == 8
        d.one = d.many[0]
        assert d.one.value == 8

    def test_bit_fields(self, d):
        d.low = 5
        d.high = 0x3F
        assert (d.low, d.high) == (5, 0x1F)
        assert addressof(d).u32[14] == 0xFD

    def test_an_index_beyond_an_array_is_found(self, k, d):
        with k.expect("intra-object-overflow", count=1) as found:
            d.mac[7] = 1
        assert found[0].lines[0] == "desc.mac: index 7 of 6"
        assert addressof(d)[31] == 1

    def test_a_flexible_array_ends_with_its_allocation(self, k):
        p = kzalloc(sizeof(flexible) + 2 * sizeof(u16), GFP_KERNEL)
        f = flexible.at(p)
        f.data[1] = 3
        assert p[6:8] == b"\3\0"
        with k.expect("slab-out-of-bounds-right", count=1):
            f.data[2]
        kfree(p)

    def test_one_element_at_the_end_is_any_number(self, k):
        class old(Struct):
            count: u32
            data: u8[1]

        p = kzalloc(sizeof(old) + 8, GFP_KERNEL)
        old.at(p).data[5] = 7
        assert p[9] == 7
        kfree(p)

    def test_storing_one_member_leaves_the_padding_unwritten(self, k):
        p = kmalloc(sizeof(inner), GFP_KERNEL)
        i = inner.at(p)
        i.kind = 1
        i.value = 2
        about, holes = k.mem.unwritten(p, sizeof(inner))
        assert holes == [(1, 4)]
        assert about is p.origin
        kfree(p)

    def test_a_union_shares_its_bytes(self, k):
        u = either()
        u.word = 0x1234_5678
        assert u.half == 0x5678


class TestViews:
    def test_a_view_of_null_is_false(self, d):
        assert d
        assert not desc.at(NULL)
        assert desc.at(NULL) == 0

    def test_equal_by_address(self, d):
        assert desc.at(addressof(d)) == d
        assert hash(desc.at(addressof(d))) == hash(d)

    def test_container_of(self, d):
        assert container_of(addressof(d.one), desc, "one") == d
        assert container_of(d.lock, desc, "lock") == d
        assert container_of(addressof(d) + 8, C, "b") == addressof(d)

    def test_container_of_a_python_object(self, k):
        class holder:
            def __init__(self):
                self.lock = spinlock_like()

        h = holder()
        assert container_of(h.lock, holder, "lock") is h
        with pytest.raises(TypeError, match="no holder has"):
            container_of(spinlock_like(), holder, "lock")

    def test_a_null_view_oopses(self, k):
        with pytest.raises(kmock.KernelOops), k.expect("null-deref") as found:
            desc.at(NULL).length = 1
        assert found[0].attributes["address"] == 8

    def test_local_variables_are_on_the_stack(self, k):
        i = inner()
        i.value = 3
        assert i.value == 3
        assert addressof(i).origin.area == "stack"


class TestEmbedded:
    def test_the_object_belongs_to_the_address(self, d):
        assert d.lock is desc.at(addressof(d)).lock
        assert addressof(d.lock) == addressof(d) + offsetof(desc, "lock")

    def test_it_goes_with_the_memory(self, k):
        told = []

        class watched:
            def memory_freed(self, kernel, about):
                told.append((kernel, about.addr))

        class holder(Struct):
            head: u64
            inside: watched

        p = kmalloc(sizeof(holder), GFP_KERNEL)
        first = holder.at(p).inside
        kfree(p)
        assert told == [(k, int(p))]
        assert k.mem.embedded.address(first) is None

    def test_it_cannot_be_had_from_freed_memory(self, k):
        p = kzalloc(sizeof(desc), GFP_KERNEL)
        kfree(p)
        with k.expect("slab-use-after-free-read", count=1):
            desc.at(p).lock

    def test_an_initialiser_is_assigned(self, d):
        lock = spinlock_like()
        d.lock = lock
        assert d.lock is lock

    def test_an_object_in_no_memory_has_no_address(self, k):
        with pytest.raises(TypeError, match="has no address"):
            addressof(spinlock_like())


class TestIntegers:
    def test_a_call_is_a_cast(self):
        assert (u8(-1), s8(255), u16(0x12345), s16(0x8000), be16(3)) == (255, -1, 0x2345, -0x8000, 3)

    def test_arrays_are_ctypes(self):
        assert ctypes.sizeof(u8[16]) == ctypes.sizeof(u8 * 16) == 16
        assert ctypes.sizeof(le32[2]) == 8


def test_an_array_and_a_number_make_a_pointer_as_in_c():
    with kmock.boot() as k:
        d = desc.at(kzalloc(sizeof(desc), GFP_KERNEL))
        (d.mac + 2)[0] = 7
        assert d.mac[2] == 7
        many = flexible.at(kzalloc(sizeof(flexible) + 8, GFP_KERNEL))
        assert (many.data + 3) - addressof(many.data) == 6
        kfree(many)
        kfree(d)
        assert not k.reports
