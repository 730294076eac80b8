"""An address space: where areas lie, how they are cut and joined, and that a process ends with nothing left."""

from __future__ import annotations

import mmap

import pytest

import kmock
from kmock.user.memory import ProcessMemory

RW = mmap.PROT_READ | mmap.PROT_WRITE
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
SHARED = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
FIXED = 0x10
BASE = 0x2000_0000


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def p(k):
    return k.user()


def areas(p: ProcessMemory) -> list[tuple[int, int]]:
    """Where the process' areas begin, in pages from BASE, and how many pages they have."""
    return [(vma.vm_start - BASE >> 12, vma.pages) for vma in p.mm.vmas.values()]


def fixed(p: ProcessMemory, first: int, pages: int, prot: int = RW, flags: int = PRIVATE) -> int:
    """Map pages at a place counted from BASE."""
    return p.mmap(-1, pages << 12, prot, flags | FIXED, addr=BASE + (first << 12))


class TestWhere:
    def test_the_next_area_lies_below_the_last_and_joins_it(self, p):
        first = p.mmap(-1, 4096, RW, PRIVATE)
        assert p.mmap(-1, 4096, RW, PRIVATE) == first - 4096
        assert len(p.mm.vmas) == 1

    def test_a_hole_is_used_again(self, p):
        first = p.mmap(-1, 3 << 12, RW, PRIVATE)
        p.munmap(first + 4096, 4096)
        assert p.mmap(-1, 4096, mmap.PROT_READ, PRIVATE) == first + 4096

    def test_a_wish_is_granted_where_it_can_be(self, p):
        assert p.mmap(-1, 4096, RW, PRIVATE, addr=BASE + 7) == BASE
        assert p.mmap(-1, 4096, RW, PRIVATE, addr=BASE) != BASE

    def test_fixed_replaces_what_is_there(self, p):
        fixed(p, 0, 3)
        p.store(BASE, b"abc")
        fixed(p, 0, 1)
        assert p.load(BASE, 3) == bytes(3)
        assert areas(p) == [(0, 3)]

    @pytest.mark.parametrize(
        ("wanted", "error"),
        [
            ({"length": 0}, "Invalid argument"),
            ({"offset": 1}, "Invalid argument"),
            ({"length": 1 << 60}, "Cannot allocate memory"),
            ({"flags": mmap.MAP_ANONYMOUS}, "Invalid argument"),
            ({"flags": PRIVATE | FIXED, "addr": BASE + 1}, "Invalid argument"),
            ({"flags": PRIVATE | FIXED, "addr": 4096}, "Operation not permitted"),
            ({"flags": PRIVATE | 0x100000, "addr": BASE}, "File exists"),
        ],
    )
    def test_what_cannot_be(self, p, wanted, error):
        fixed(p, 0, 1)
        given = {"fd": -1, "length": 4096, "prot": RW, "flags": PRIVATE, **wanted}
        with pytest.raises(OSError, match=error):
            p.mmap(**given)

    @pytest.mark.parametrize("arch", ["x86_64", "x86_32"])
    def test_areas_lie_in_the_users_half(self, arch):
        with kmock.boot(arch=arch) as k:
            for _ in range(20):
                p = k.user()
                u = p.buffer(10_000)
                a = p.mmap(-1, 4096, RW, PRIVATE)
                assert 0 < u < k.layout.task_size
                assert 0 < a < k.layout.task_size
                p.exit()

    def test_two_processes_have_nothing_at_one_address(self, k):
        a, b = k.user(), k.user()
        assert a.mm.vma_lookup(b.buffer(8)) is None
        assert b.mm.vma_lookup(a.buffer(8)) is None


class TestCutAndJoin:
    def test_a_hole_cuts_an_area_in_two(self, p):
        fixed(p, 0, 4)
        p.munmap(BASE + 0x1000, 0x1000)
        assert areas(p) == [(0, 1), (2, 2)]

    def test_filling_the_hole_joins_them(self, p):
        fixed(p, 0, 4)
        p.munmap(BASE + 0x1000, 0x1000)
        fixed(p, 1, 1)
        assert areas(p) == [(0, 4)]

    def test_another_protection_is_another_area(self, p):
        fixed(p, 0, 4)
        p.store(BASE, b"x" * (4 << 12))
        p.mprotect(BASE + 0x1000, 0x1000, mmap.PROT_READ)
        assert areas(p) == [(0, 1), (1, 1), (2, 2)]
        with pytest.raises(kmock.UserSignal, match="SIGSEGV"):
            p.store(BASE + 0x1000, b"y")
        p.mprotect(BASE + 0x1000, 0x1000, RW)
        assert areas(p) == [(0, 4)]
        p.store(BASE + 0x1000, b"y")
        assert p.load(BASE + 0xFFF, 3) == b"xyx"

    def test_pages_of_their_own_keep_neighbours_apart(self, p):
        # Each got its anon_vma alone: Linux does not join what two of them belong to.
        fixed(p, 0, 1, prot=0)
        fixed(p, 2, 1)
        p.store(BASE + 0x2000, b"a")
        p.mprotect(BASE, 0x1000, RW)
        p.store(BASE, b"b")
        fixed(p, 1, 1)
        assert areas(p) == [(0, 2), (2, 1)]

    def test_offsets_of_a_file_follow_the_cut(self, p):
        fixed(p, 0, 4, flags=SHARED)
        p.munmap(BASE + 0x1000, 0x1000)
        assert [vma.vm_pgoff for vma in p.mm.vmas.values()] == [0, 2]


class TestTheEnd:
    def test_nothing_is_left(self, k, p):
        before = k.page_alloc.nr_free_pages
        a = p.mmap(-1, 64 << 12, RW, PRIVATE)
        b = p.mmap(-1, 8 << 12, RW, SHARED)
        p.store(a, b"x" * (64 << 12))
        p.store(b, b"y" * (8 << 12))
        q = p.fork()
        q.store(a, b"z")
        assert sum(p.mm.rss) == sum(q.mm.rss) + 8  # of a shared mapping a child has nothing yet but what is its own
        p.exit()
        assert q.load(b, 1) == b"y"
        q.exit()
        for mm in (p.mm, q.mm):
            assert mm.rss == [0, 0, 0, 0]
            assert not mm.tables
            assert not mm.pgd.entries
        k.page_alloc.drain_all_pages()
        assert k.page_alloc.nr_free_pages >= before
