"""A process' address space, against a model that knows only which pages there are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmock
from kmock.mm.mm_struct import VM_READ, VM_WRITE, mm_struct

BASE = 0x10_0000
PAGES = 12
STEPS = st.lists(
    st.tuples(st.sampled_from(["map", "unmap", "touch"]), st.integers(0, PAGES), st.integers(1, 5)), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_mapping_and_unmapping(steps):
    with kmock.boot(memory="16M") as k:
        mm = mm_struct(k)
        mapped: set[int] = set()
        touched: set[int] = set()
        for what, start, n in steps:
            pages = set(range(start, start + n))
            address = BASE + (start << 12)
            if what == "map":
                assert not isinstance(mm.mmap(n << 12, VM_READ | VM_WRITE, address), int)
                mapped |= pages
                touched -= pages
            elif what == "unmap":
                assert mm.munmap(address, n << 12) == 0
                mapped -= pages
                touched -= pages
            else:
                assert (mm.fault_in(address, write=True) is not None) == (start in mapped)
                touched |= {start} & mapped
            assert {p for p in range(PAGES + 6) if mm.maps(BASE + (p << 12))} == mapped
            assert {(vpn << 12) - BASE >> 12 for vpn in mm.pgd.entries} == touched
        mm.exit()
        assert not mm.pgd.entries
        assert not mm.vmas


def test_neighbours_do_not_touch():
    with kmock.boot() as k:
        mm = mm_struct(k)
        first, second = (mm.mmap(4096, VM_READ) for _ in range(2))
        assert second.vm_end < first.vm_start
        assert not mm.maps(second.vm_end)


def test_splitting_keeps_the_offset():
    with kmock.boot() as k:
        mm = mm_struct(k)
        vma = mm.mmap(4 << 12, VM_READ)
        vma.vm_pgoff = 7
        mm.munmap(vma.vm_start + 0x1000, 0x1000)
        assert [(v.vm_end - v.vm_start >> 12, v.vm_pgoff) for v in mm.vmas.values()] == [(1, 7), (2, 9)]


@pytest.mark.parametrize("arch", ["x86_64", "x86_32"])
def test_areas_lie_in_the_users_half(arch):
    with kmock.boot(arch=arch) as k:
        for _ in range(20):
            p = k.user()
            u = p.buffer(10_000)
            assert 0 < u < k.layout.task_size
            p.exit()


def test_two_processes_have_nothing_at_one_address():
    with kmock.boot() as k:
        a, b = k.user(), k.user()
        assert a.mm.find_vma(b.buffer(8)) is None
        assert b.mm.find_vma(a.buffer(8)) is None
