"""get_user_pages() and pin_user_pages() in all their generations, and what is told of their misuse."""

from __future__ import annotations

import errno
import mmap

import pytest

import kmock
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_COMP as GFP_COMP
from kmock.linux.gfp import __GFP_ZERO as GFP_ZERO
from kmock.linux.gfp import GFP_KERNEL, alloc_pages
from kmock.linux.gfp import __free_pages as free_pages_of
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.mm import (
    FAULT_FLAG_WRITE,
    FOLL_FORCE,
    FOLL_GET,
    FOLL_LONGTERM,
    FOLL_NOFAULT,
    FOLL_PIN,
    FOLL_TOUCH,
    FOLL_WRITE,
    GUP_PIN_COUNTING_BIAS,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    fixup_user_fault,
    get_page,
    get_user_pages,
    get_user_pages_fast,
    get_user_pages_fast_only,
    get_user_pages_remote,
    get_user_pages_unlocked,
    page_address,
    page_count,
    page_maybe_dma_pinned,
    pin_user_pages,
    pin_user_pages_fast,
    pin_user_pages_fast_only,
    pin_user_pages_remote,
    pin_user_pages_unlocked,
    put_page,
    set_page_dirty,
    set_page_dirty_lock,
    unpin_user_page,
    unpin_user_page_range_dirty_lock,
    unpin_user_pages,
    unpin_user_pages_dirty_lock,
    vm_insert_page,
    vm_operations_struct,
)
from kmock.linux.mm import __get_user_pages as walk_user_pages
from kmock.linux.mmap_lock import mmap_read_lock, mmap_read_unlock
from kmock.linux.page_flags import PageDirty
from kmock.linux.sched import current
from kmock.linux.types import Ptr

PAGE = 4096
RW = mmap.PROT_READ | mmap.PROT_WRITE
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


@pytest.fixture
def k():
    with kmock.boot() as k:
        yield k
    assert not k.reports.unexpected


@pytest.fixture
def p(k):
    return k.user()


@pytest.fixture
def u(p):
    return p.buffer(2 * PAGE)


@pytest.fixture
def mm(p):
    """The process' address space, with its lock held for the length of the test."""
    mmap_read_lock(p.mm)
    yield p.mm
    mmap_read_unlock(p.mm)


def put(pages):
    for page in pages:
        put_page(page)


class TestGenerations:
    def test_the_form_of_today(self, u, mm):
        n, pages = get_user_pages(u, 2, FOLL_WRITE)
        assert n == len(pages) == 2
        put(pages)

    def test_with_areas(self, u, mm):
        n, pages, vmas = get_user_pages(u, 1, 0, pages_wanted(), True)
        assert n == 1
        assert vmas == [mm.vma_lookup(u)]
        put(pages)

    def test_write_and_force_instead_of_flags(self, u, mm):
        n, pages = get_user_pages(u, 1, 1, 0)
        assert n == 1
        put(pages)

    @pytest.mark.parametrize("write", [0, 1])
    def test_with_task_and_mm(self, u, mm, write):
        n, pages = get_user_pages(current(), mm, u, 2, write, 0)
        assert n == 2
        put(pages)

    def test_with_flags_and_a_task(self, u, mm):
        n, pages = walk_user_pages(current(), mm, u, 2, FOLL_WRITE | FOLL_TOUCH)
        assert n == 2
        put(pages)

    def test_only_faulting_in(self, p, mm):
        mmap_read_unlock(mm)
        address = p.mmap(-1, 2 * PAGE, RW, ANONYMOUS)
        mmap_read_lock(mm)
        assert get_user_pages(address, 2, FOLL_WRITE, None) == (2, None)
        assert mm.pte(address)
        assert mm.pte(address + PAGE)

    def test_unlocked_takes_the_lock_itself(self, p, u):
        n, pages = get_user_pages_unlocked(u, 2, FOLL_WRITE)
        assert (n, p.mm.is_locked()) == (2, False)
        put(pages)

    def test_unlocked_with_pages_before_the_flags(self, u):
        n, pages = get_user_pages_unlocked(u, 2, pages_wanted(), FOLL_WRITE)
        assert n == 2
        put(pages)

    def test_another_process(self, k, p):
        other = k.user()
        there = other.buffer(b"theirs")
        mmap_read_lock(other.mm)
        n, pages = get_user_pages_remote(other.mm, there, 1, 0)
        assert n == 1
        assert page_address(pages[0])[int(there) % PAGE : int(there) % PAGE + 6] == b"theirs"
        put(pages)
        n, pages = get_user_pages_remote(other.task, other.mm, there, 1, 0)
        assert n == 1
        put(pages)
        mmap_read_unlock(other.mm)

    def test_fast_only_takes_what_is_there(self, p):
        address = p.mmap(-1, 2 * PAGE, RW, ANONYMOUS)
        p.store(address, b"x")
        n, pages = get_user_pages_fast_only(address, 2, FOLL_WRITE)
        assert n == 1
        put(pages)
        n, pages = pin_user_pages_fast_only(address, 2, FOLL_WRITE)
        assert n == 1
        unpin_user_pages(pages, n)


def pages_wanted():
    return []


class TestPins:
    @pytest.fixture
    def page(self, u):
        n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
        assert n == 1
        return pages[0]

    def test_a_pin_counts_much(self, page):
        assert page_count(page) == 1 + GUP_PIN_COUNTING_BIAS
        assert page_maybe_dma_pinned(page)
        unpin_user_page(page)
        assert page_count(page) == 1
        assert not page_maybe_dma_pinned(page)

    def test_under_the_lock(self, u, mm):
        n, pages = pin_user_pages(u, 2, FOLL_WRITE)
        assert n == 2
        unpin_user_pages(pages, n)

    def test_remote_and_unlocked(self, p, u):
        n, pages = pin_user_pages_unlocked(u, 2, FOLL_WRITE)
        unpin_user_pages(pages, n)
        mmap_read_lock(p.mm)
        n, pages, locked = pin_user_pages_remote(p.mm, u, 2, FOLL_WRITE, locked=1)
        mmap_read_unlock(p.mm)
        assert (n, locked) == (2, 1)
        unpin_user_pages_dirty_lock(pages, n, True)
        assert all(PageDirty(page) for page in pages)

    def test_a_child_gets_its_own_copy_of_what_is_pinned(self, p, u, page):
        child = p.fork()
        p.store(u, b"after the fork")
        assert page_address(page)[0:5] == b"after"
        assert child.load(u, 5) == bytes(5)
        unpin_user_page(page)

    def test_what_is_pinned_for_reading_becomes_the_process_own(self, p, u):
        p.fork()
        n, pages = pin_user_pages_fast(u, 1, 0)
        assert n == 1
        p.store(u, b"seen")
        assert page_address(pages[0])[0:4] == b"seen"
        unpin_user_pages(pages, n)

    def test_a_compound_page_counts_its_pins_apart(self, k, p):
        pages = alloc_pages(GFP_KERNEL | GFP_COMP | GFP_ZERO, 1)

        def handler(filp, vma):
            return vm_insert_page(vma, vma.vm_start, pages) or vm_insert_page(vma, vma.vm_start + PAGE, pages + 1)

        misc_register(miscdevice(name="dev", fops=file_operations(mmap=handler)))
        address = p.mmap(p.open("/dev/dev"), 2 * PAGE, RW, mmap.MAP_SHARED)
        n, pinned = pin_user_pages_fast(address, 2, FOLL_WRITE)
        assert (n, page_count(pages)) == (2, 5)
        assert page_maybe_dma_pinned(pages)
        unpin_user_pages(pinned, n)
        assert not page_maybe_dma_pinned(pages)
        p.munmap(address, 2 * PAGE)
        free_pages_of(pages, 1)

    def test_a_range_that_follows_each_other(self, k, p):
        pages = alloc_pages(GFP_KERNEL | GFP_COMP | GFP_ZERO, 1)
        fops = file_operations(mmap=lambda f, vma: vm_insert_page(vma, vma.vm_start, pages))
        misc_register(miscdevice(name="dev", fops=fops))
        address = p.mmap(p.open("/dev/dev"), PAGE, RW, mmap.MAP_SHARED)
        n, pinned = pin_user_pages_fast(address, 1, FOLL_WRITE)
        unpin_user_page_range_dirty_lock(pinned[0], n, True)
        assert PageDirty(pages)
        p.munmap(address, PAGE)
        free_pages_of(pages, 1)

    def test_for_long_not_where_pages_have_to_be_movable(self):
        with kmock.boot(memory="256M", movable="128M") as k:
            p = k.user()
            u = p.buffer(b"keep me")
            frame = p.mm.pte(u) >> 12 & 0xFF_FFFF_FFFF
            assert k.memmap.page(frame).zone.name == "Movable"
            n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE | FOLL_LONGTERM)
            assert n == 1
            assert pages[0].zone.name != "Movable"
            assert p.load(u, 7) == b"keep me"
            p.store(u, b"KEEP ME")
            assert page_address(pages[0])[PAGE - 7 : PAGE] == b"KEEP ME"
            unpin_user_pages(pages, n)
        assert not k.reports.unexpected


class TestRefusals:
    def test_read_only_memory(self, p, mm):
        mmap_read_unlock(mm)
        address = p.mmap(-1, PAGE, mmap.PROT_READ, ANONYMOUS)
        mmap_read_lock(mm)
        assert get_user_pages(address, 1, FOLL_WRITE)[0] == -errno.EFAULT
        n, pages = get_user_pages(address, 1, FOLL_WRITE | FOLL_FORCE)
        assert n == 1
        put(pages)

    def test_pages_that_are_not_there_with_nofault(self, p):
        address = p.mmap(-1, PAGE, RW, ANONYMOUS)
        assert get_user_pages_fast(address, 1, FOLL_WRITE | FOLL_NOFAULT)[0] == -errno.EFAULT

    def test_a_hole_in_the_middle(self, p, u):
        p.munmap(u + PAGE, PAGE)
        n, pages = get_user_pages_fast(u, 2, 0)
        assert n == len(pages) == 1
        put(pages)

    def test_no_memory(self, k, p):
        address = p.mmap(-1, PAGE, RW, ANONYMOUS)
        k.faults.fail_page_alloc(ignore_gfp_wait=False, min_order=0, ignore_gfp_highmem=False)
        assert get_user_pages_fast(address, 1, FOLL_WRITE)[0] == -errno.ENOMEM
        k.faults.clear()

    def test_a_handler_that_gives_the_lock_up(self, k, p):
        calls = []

        def fault(vmf):
            calls.append(vmf.flags)
            if len(calls) == 1:
                mmap_read_unlock(p.mm)
                return VM_FAULT_RETRY
            return VM_FAULT_SIGBUS

        def handler(filp, vma):
            vma.vm_ops = vm_operations_struct(fault=fault)
            return 0

        misc_register(miscdevice(name="dev", fops=file_operations(mmap=handler)))
        address = p.mmap(p.open("/dev/dev"), PAGE, RW, mmap.MAP_SHARED)
        assert get_user_pages_unlocked(address, 1, FOLL_WRITE)[0] == -errno.EFAULT
        assert len(calls) == 2
        assert not p.mm.is_locked()

    @pytest.mark.parametrize(
        ("call", "flags", "line"),
        [
            (get_user_pages_fast, FOLL_PIN, 2177),
            (get_user_pages_fast, FOLL_LONGTERM, 2184),
            (get_user_pages_fast, FOLL_TOUCH, 3047),
            (get_user_pages_unlocked, FOLL_LONGTERM, 2367),
            (pin_user_pages_fast, FOLL_GET, 3191),
            (pin_user_pages_fast_only, FOLL_GET, 3217),
            (pin_user_pages_unlocked, FOLL_GET, 3333),
        ],
    )
    def test_flags_that_are_not_the_callers(self, k, u, call, flags, line):
        with k.expect("gup-bad-flags", count=1) as found:
            assert call(u, 1, flags)[0] == (0 if "only" in call.__name__ else -errno.EINVAL)
        assert f"at mm/gup.c:{line} " in found[0].headline

    @pytest.mark.parametrize(("call", "line"), [(pin_user_pages, 3309), (pin_user_pages_remote, 3272)])
    def test_flags_of_calls_under_the_lock(self, k, u, mm, call, line):
        args = (mm,) if call is pin_user_pages_remote else ()
        with k.expect("gup-bad-flags", count=2) as found:
            assert call(*args, u, 1, FOLL_GET)[0] == -errno.EINVAL
            assert call(*args, u, 1, FOLL_WRITE, None)[0] == -errno.EINVAL
        assert [f"gup.c:{line + 3 * i}" in r.headline for i, r in enumerate(found)] == [True, True]

    def test_longterm_where_the_lock_may_be_dropped(self, k, p, u, mm):
        with k.expect("gup-bad-flags"):
            n, _, locked = pin_user_pages_remote(mm, u, 1, FOLL_LONGTERM, locked=1)
        assert (n, locked) == (-errno.EINVAL, 1)

    def test_fixup_user_fault(self, p, mm):
        mmap_read_unlock(mm)
        address = p.mmap(-1, PAGE, mmap.PROT_READ, ANONYMOUS)
        mmap_read_lock(mm)
        assert fixup_user_fault(mm, address, 0) == 0
        assert fixup_user_fault(mm, address, FAULT_FLAG_WRITE) == -errno.EFAULT
        assert fixup_user_fault(mm, 0x1000, 0, True) == (-errno.EFAULT, False)


class TestFindings:
    def test_a_reference_of_ones_own_is_not_a_leak_of_pages(self, u):
        n, pages = get_user_pages_fast(u, 1, 0)
        get_page(pages[0])
        put(pages)
        put(pages)
        assert n == 1

    def test_what_the_process_writes_needs_no_dirtying(self, p, u):
        n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
        p.store(u, b"by the process")
        unpin_user_pages(pages, n)

    def test_dirtied_before_the_last_write_is_not_enough(self, k, u):
        n, pages = get_user_pages_fast(u, 1, FOLL_WRITE)
        page_address(pages[0])[0] = 1
        assert set_page_dirty_lock(pages[0]) in (0, 1)
        page_address(pages[0])[1] = 1
        with k.expect("gup-missing-dirty", count=1):
            put(pages)
        assert n == 1

    def test_set_page_dirty_says_whether_it_was_clean(self, u):
        n, pages = get_user_pages_fast(u, 1, 0)
        set_page_dirty(pages[0])
        assert not set_page_dirty(pages[0])
        assert PageDirty(pages[0])
        put(pages)
        assert n == 1

    def test_dirty_after_the_page_was_given_back(self, k, u):
        n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
        unpin_user_pages(pages, n)
        with k.expect("gup-use-after-unpin", count=1):
            set_page_dirty_lock(pages[0])

    def test_whoever_writes_to_it_has_to_say_so(self, k, u):
        n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
        Ptr(int(page_address(pages[0])))[0] = 1  # by its address alone
        with k.expect("gup-missing-dirty", count=1):
            unpin_user_pages(pages, n)

    def test_a_pin_of_what_was_only_got(self, k, u):
        n, pages = get_user_pages_fast(u, 1, 0)
        with k.expect("gup-put-vs-unpin", count=1):
            unpin_user_page(pages[0])
        pages[0]._refcount += GUP_PIN_COUNTING_BIAS
        put(pages)
        assert n == 1

    def test_entries_beyond_the_last_page(self, k, u):
        n, pages = get_user_pages_fast(u, 4, 0)
        assert n == 2
        with k.expect("gup-short-ignored", count=1):
            assert pages[2] is None
        with pytest.raises(IndexError):
            pages[4]
        put(pages)

    def test_an_entry_beyond_an_unaligned_start(self, k, u):
        n, pages = get_user_pages_fast(u + 100, 1, 0)
        with k.expect("gup-unaligned-count", count=1):
            assert pages[1] is None
        put(pages)
        assert n == 1

    def test_the_process_fault_is_no_finding_if_it_is_told(self, k, p):
        def handler(filp, vma):
            vma.vm_flags |= 0x4000
            vma.vm_flags |= 0x4_0000
            return 0

        def ioctl(filp, cmd, arg):
            n, _ = get_user_pages_fast(arg, 1, 0)
            return n if cmd else 0

        fops = file_operations(mmap=handler, unlocked_ioctl=ioctl)
        misc_register(miscdevice(name="dev", fops=fops))
        fd = p.open("/dev/dev")
        address = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
        with pytest.raises(OSError, match="Bad address"):
            p.ioctl(fd, 1, address)
        with k.expect("gup-pfnmap", count=1):
            p.ioctl(fd, 0, address)

    def test_the_end_of_the_call_looks_at_what_it_took(self, k, u):
        with k.expect("gup-pin-leak", count=1) as found:
            get_user_pages_fast(u, 2, 0)
            k.grabs.end_call(0)
        assert found[0].attributes == {"count": 2}

    def test_a_module_that_goes_with_pages(self, k, p, tmp_path):
        (tmp_path / "taker.py").write_text(
            "from kmock.linux.mm import pin_user_pages_fast\n"
            "from kmock.linux.module import module_exit, module_init\n"
            "def start():\n    pin_user_pages_fast(ADDRESS, 1, 0)\n    return 0\n"
            "def stop():\n    pass\n"
            "module_init(start)\nmodule_exit(stop)\n".replace("ADDRESS", str(int(p.buffer(PAGE))))
        )
        module = k.insmod(str(tmp_path / "taker.py"))
        with k.expect("gup-pin-leak"):
            k.rmmod(module)
