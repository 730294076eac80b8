"""Replays the ``gup`` area: what get_user_pages() and pin_user_pages() give, and what becomes of the pages."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

import kmock
from kmock.linux.delay import msleep
from kmock.linux.fs import file_operations, filemap_write_and_wait_range
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.kthread import kthread_run
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.mm import (
    FAULT_FLAG_WRITE,
    FOLL_FORCE,
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_WRITE,
    VM_FAULT_SIGBUS,
    VM_MIXEDMAP,
    ZERO_PAGE,
    PageAnon,
    PageDirty,
    PageUptodate,
    fixup_user_fault,
    get_page,
    get_user_pages,
    get_user_pages_fast,
    get_user_pages_fast_only,
    get_user_pages_remote,
    get_user_pages_unlocked,
    page_address,
    page_count,
    page_mapcount,
    page_maybe_dma_pinned,
    page_to_pfn,
    pin_user_pages,
    pin_user_pages_fast,
    put_page,
    remap_pfn_range,
    set_page_dirty_lock,
    unpin_user_page,
    unpin_user_pages,
    unpin_user_pages_dirty_lock,
    vm_insert_page,
    vm_operations_struct,
    vmf_insert_mixed,
)
from kmock.linux.mmap_lock import mmap_read_lock, mmap_read_unlock
from kmock.linux.pagemap import unlock_page
from kmock.linux.pfn_t import page_to_pfn_t
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.mm.address_space import address_space_operations
from tests.conformance.replay import scenario

if TYPE_CHECKING:
    from kmock import Kernel
    from kmock.fs.diskfs import DiskInode
    from kmock.mm.page import Page
    from kmock.user.process import Process
    from tests.conformance.replay import Replay

RW = mmap.PROT_READ | mmap.PROT_WRITE
PAGE = 4096
FIXED = 0x10


def anonymous(k: Kernel, pages: int, touched: int, address: int = 0) -> tuple[Process, int]:
    """A process with fresh anonymous memory, of which it has written to the first pages."""
    p = process(k)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (FIXED if address else 0)
    addr = p.mmap(-1, pages * PAGE, RW, flags, addr=address)
    for i in range(touched):
        p.store(addr + i * PAGE, b"a")
    return p, addr


def process(k: Kernel) -> Process:
    p = k.user()
    p.task.comm = k.current.comm = "orc"
    return p


def counts(pages: list[Page]) -> Any:
    """Page counts the way they were recorded: one number, or several in a string."""
    found = [page_count(page) for page in pages]
    return found[0] if len(found) == 1 else ",".join(map(str, found))


def locked(k: Kernel, call: Any, *args: Any) -> Any:
    mm = k.current.mm
    mmap_read_lock(mm)
    result = call(*args)
    mmap_read_unlock(mm)
    return result


def driver(k: Kernel, handler: Any) -> tuple[Process, int]:
    misc_register(miscdevice(name="orc", fops=file_operations(mmap=handler)))
    p = process(k)
    return p, p.open("/dev/orc", os.O_RDWR)


def filled_page() -> Page:
    page = alloc_page(GFP_KERNEL | __GFP_ZERO)
    page_address(page)[0:PAGE] = b"A" * PAGE
    return page


def fault_page(page: Page) -> vm_operations_struct:
    def fault(vmf: Any) -> int:
        if vmf.pgoff:
            return VM_FAULT_SIGBUS
        get_page(page)
        vmf.page = page
        return 0

    return vm_operations_struct(fault=fault)


# -- counts ---------------------------------------------------------------------------------------------


@scenario("filemap.h-gup-ok")
def gup_ok(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 4, 4)
    page = k.memmap.page(p.mm.pte(addr) >> 12 & 0xFF_FFFF_FFFF)
    s.check("before.page_count", page_count(page))
    n, pages = locked(k, get_user_pages, addr, 4, FOLL_WRITE)
    s.check("get_user_pages", n)
    s.check("held.page_count", counts(pages))
    s.check("PageAnon", PageAnon(pages[0]))
    for held in pages:
        put_page(held)
    s.check("after_put.page_count", page_count(page))


@scenario("filemap.h-gup-partial")
def gup_partial(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 4, 4)
    p.munmap(addr + 2 * PAGE, 2 * PAGE)
    n, pages = locked(k, get_user_pages, addr, 4, FOLL_WRITE)
    s.check("get_user_pages", n)
    s.check("held.page_count", counts(pages))
    s.check("is_zero_page", pages[0] is ZERO_PAGE(0))
    for page in pages:
        put_page(page)
    n, pages = get_user_pages_fast(addr, 4, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    s.check("held.page_count#2", counts(pages))
    s.check("is_zero_page#2", pages[0] is ZERO_PAGE(0))
    for page in pages:
        put_page(page)


@scenario("filemap.h-gup-zero-nr")
def gup_zero_nr(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 1)
    s.check("get_user_pages", locked(k, get_user_pages, addr, 0, FOLL_WRITE)[0])
    s.check("get_user_pages#2", locked(k, get_user_pages, addr + 16 * PAGE, 0, FOLL_WRITE)[0])


@scenario("filemap.h-gup-fast-zero-nr")
def gup_fast_zero_nr(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 2, 2, address=0x2000_0000)
    n, pages = get_user_pages_fast(addr, 0, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    s.check("held.page_count", counts(pages))
    s.check("is_zero_page", pages[0] is ZERO_PAGE(0))
    for page in list(pages):
        put_page(page)
    s.check("get_user_pages_fast#2", get_user_pages_fast(addr + 16 * PAGE, 0, FOLL_WRITE)[0])


@scenario("filemap.h-gup-neg-nr")
def gup_neg_nr(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 1)
    s.check("get_user_pages_fast_nr_minus_1", get_user_pages_fast(addr, -1, 0)[0])


@scenario("filemap.h-gup-unaligned")
def gup_unaligned(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 2, 2)
    n, pages = locked(k, get_user_pages, addr + 0x123, 1, FOLL_WRITE)
    s.check("get_user_pages", n)
    s.check("held.page_count", counts(pages))
    s.check("is_zero_page", pages[0] is ZERO_PAGE(0))
    put_page(pages[0])
    n, pages = get_user_pages_fast(addr + 0xFFF, 2, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    s.check("held.page_count#2", counts(pages))
    s.check("is_zero_page#2", pages[0] is ZERO_PAGE(0))
    for page in pages:
        put_page(page)


@scenario("filemap.h-gup-unlocked")
def gup_unlocked(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 2, 2)
    n, pages = get_user_pages_unlocked(addr, 2, FOLL_WRITE)
    s.check("get_user_pages_unlocked", n)
    s.check("held.page_count", counts(pages))
    s.check("mmap_lock_held_after", p.mm.is_locked())
    for page in pages:
        put_page(page)


@scenario("filemap.h-gup-remote")
def gup_remote(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 1)
    mmap_read_lock(p.mm)
    n, pages, still = get_user_pages_remote(p.mm, addr, 1, FOLL_WRITE, locked=1)
    s.check("get_user_pages_remote", n)
    s.check("locked_after", still)
    s.check("mmap_lock_held_after", p.mm.is_locked())
    mmap_read_unlock(p.mm)
    put_page(pages[0])


@scenario("filemap.h-gup-null-pages")
def gup_null_pages(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 4, 0)
    n, _ = locked(k, get_user_pages, addr, 4, FOLL_WRITE, None)
    s.check("get_user_pages", n)
    s.check("pte_after", pte_words(p, addr, None))


def pte_words(p: Process, address: int, pages: list[Page] | None) -> str:
    """An entry the way it was recorded."""
    entry = p.mm.pte(address)
    words = ["present", "write" if entry & 2 else "readonly"]
    words += [word for bit, word in ((6, "dirty"), (5, "young"), (9, "special")) if entry >> bit & 1]
    mine = pages is not None and (entry >> 12 & 0xFF_FFFF_FFFF) in [page_to_pfn(page) for page in pages]
    return ",".join([*words, "pfn-of-driver" if mine else "other-pfn"])


@scenario("filemap.h-get-munmap-put")
def get_munmap_put(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 1)
    n, pages = get_user_pages_fast(addr, 1, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    p.munmap(addr, PAGE)
    state(s, "after_munmap", pages[0])
    s.check("byte", chr(page_address(pages[0])[0]))
    put_page(pages[0])


def state(s: Replay, name: str, page: Page) -> None:
    s.check(f"{name}.page_count", page_count(page))
    s.check(f"{name}.page_mapcount", page_mapcount(page))
    s.check(f"{name}.page_maybe_dma_pinned", page_maybe_dma_pinned(page))


@scenario(
    "filemap.h-gup-fork-parent-write", fewer_reports="what the driver reads is a page that nobody else sees any more"
)
def gup_fork_parent_write(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 1)
    n, pages = get_user_pages_fast(addr, 1, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    p.fork()
    p.store(addr, b"P")
    s.check("parent_write", "ok")
    mine = p.mm.pte(addr) >> 12 & 0xFF_FFFF_FFFF
    s.check("page_seen_by_parent_vs_page_held", "same" if mine == page_to_pfn(pages[0]) else "different")
    s.check("byte_in_held_page", chr(page_address(pages[0])[0]))
    put_page(pages[0])


# -- what is refused ------------------------------------------------------------------------------------


@scenario("filemap.h-gup-none")
def gup_none(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 1)
    p.mprotect(addr, PAGE, mmap.PROT_NONE if hasattr(mmap, "PROT_NONE") else 0)
    s.check("get_user_pages", locked(k, get_user_pages, addr, 1, 0)[0])
    s.check("get_user_pages_fast", get_user_pages_fast(addr, 1, 0)[0])
    n, pages = locked(k, get_user_pages, addr, 1, FOLL_FORCE)
    s.check("get_user_pages#2", n)
    s.check("held.page_count", counts(pages))
    s.check("is_zero_page", pages[0] is ZERO_PAGE(0))
    put_page(pages[0])


@scenario("filemap.h-gup-force-shared")
def gup_force_shared(k: Kernel, s: Replay) -> None:
    page = filled_page()

    def handler(file: Any, vma: Any) -> int:
        vma.vm_ops = fault_page(page)
        return 0

    p, fd = driver(k, handler)
    addr = p.mmap(fd, PAGE, mmap.PROT_READ, mmap.MAP_SHARED)
    s.check("mmap", "ok")
    s.check("get_user_pages", locked(k, get_user_pages, addr, 1, FOLL_WRITE | FOLL_FORCE)[0])
    p.munmap(addr, PAGE)
    __free_page(page)


@scenario("filemap.h-gup-pfnmap", more_reports="pages are asked for of an area that has none")
def gup_pfnmap(k: Kernel, s: Replay) -> None:
    page = filled_page()

    def handler(file: Any, vma: Any) -> int:
        ret = remap_pfn_range(vma, vma.vm_start, page_to_pfn(page), vma.vm_end - vma.vm_start, vma.vm_page_prot)
        s.check("remap_pfn_range", ret)
        return ret

    p, fd = driver(k, handler)
    addr = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
    s.check("mmap", "ok")
    s.check("get_user_pages", locked(k, get_user_pages, addr, 1, FOLL_WRITE)[0])
    s.check("get_user_pages_fast", get_user_pages_fast(addr, 1, FOLL_WRITE)[0])
    s.check("pin_user_pages_fast", pin_user_pages_fast(addr, 1, FOLL_WRITE)[0])
    s.check("kernel.fixup_user_fault", locked(k, fixup_user_fault, p.mm, addr, FAULT_FLAG_WRITE))
    p.munmap(addr, PAGE)
    __free_page(page)


@scenario("filemap.h-gup-mixedmap")
def gup_mixedmap(k: Kernel, s: Replay) -> None:
    pages = [filled_page()]
    p, fd = driver(k, lambda file, vma: handlers.pop(0)(vma))

    def insert(vma: Any) -> int:
        ret = vm_insert_page(vma, vma.vm_start, pages[0])
        s.check("vm_insert_page", ret)
        return ret

    def mixed(vma: Any) -> int:
        def fault(vmf: Any) -> int:
            ret = vmf_insert_mixed(vmf.vma, vmf.address, page_to_pfn_t(pages[0]))
            s.check("vmf_insert_mixed", hex(ret))
            return ret

        vma.vm_ops = vm_operations_struct(fault=fault)
        vma.vm_flags |= VM_MIXEDMAP
        return 0

    handlers = [insert, mixed]
    addr = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
    s.check("mmap", "ok")
    n, got = locked(k, get_user_pages, addr, 1, FOLL_WRITE)
    s.check("get_user_pages", n)
    s.check("held.page_count", counts(got))
    s.check("is_zero_page", got[0] is ZERO_PAGE(0))
    put_page(got[0])
    n, got = pin_user_pages_fast(addr, 1, FOLL_WRITE)
    s.check("pin_user_pages_fast", n)
    s.check("pinned.page_count", counts(got))
    s.check("is_zero_page#2", got[0] is ZERO_PAGE(0))
    s.check("page_maybe_dma_pinned", page_maybe_dma_pinned(got[0]))
    unpin_user_pages(got, n)
    s.check("after_unpin.page_count", counts(pages))
    p.munmap(addr, PAGE)
    __free_page(pages.pop())
    pages.append(filled_page())
    addr = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
    s.check("mmap#2", "ok")
    s.check("touch", chr(p.load(addr, 1)[0]))
    s.check("get_user_pages#2", locked(k, get_user_pages, addr, 1, FOLL_WRITE)[0])
    s.check("get_user_pages_fast", get_user_pages_fast(addr, 1, FOLL_WRITE)[0])
    p.munmap(addr, PAGE)
    __free_page(pages[0])


@scenario("filemap.h-gup-sigbus")
def gup_sigbus(k: Kernel, s: Replay) -> None:
    def handler(file: Any, vma: Any) -> int:
        vma.vm_ops = vm_operations_struct(fault=lambda vmf: VM_FAULT_SIGBUS)
        return 0

    p, fd = driver(k, handler)
    addr = p.mmap(fd, PAGE, RW, mmap.MAP_SHARED)
    s.check("mmap", "ok")
    s.check("get_user_pages", locked(k, get_user_pages, addr, 1, FOLL_WRITE)[0])
    s.check("get_user_pages_fast", get_user_pages_fast(addr, 1, 0)[0])
    p.munmap(addr, PAGE)


@scenario("filemap.h-gup-kernel-addr")
def gup_kernel_addr(k: Kernel, s: Replay) -> None:
    k.user()
    saved_pfn = k.image.data(8, "saved_pfn")
    s.check("get_user_pages_fast", get_user_pages_fast(saved_pfn, 1, 0)[0])


@scenario("filemap.h-gup-foll-pin")
def gup_foll_pin(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 1)
    s.check("get_user_pages", locked(k, get_user_pages, addr, 1, FOLL_PIN | FOLL_WRITE)[0])


@scenario("filemap.h-pin-null")
def pin_null(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 1)
    s.check("pin_user_pages", locked(k, pin_user_pages, addr, 1, FOLL_WRITE, None)[0])


@scenario("filemap.h-pin-longterm")
def pin_longterm(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 1)
    n, pages = locked(k, pin_user_pages, addr, 1, FOLL_WRITE | FOLL_LONGTERM)
    s.check("pin_user_pages", n)
    s.check("pinned.page_count", counts(pages))
    unpin_user_page(pages[0])
    s.check("get_user_pages", locked(k, get_user_pages, addr, 1, FOLL_WRITE | FOLL_LONGTERM)[0])
    s.check("get_user_pages_fast", get_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM)[0])
    n, pages = pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM)
    s.check("pin_user_pages_fast", n)
    s.check("pinned.page_count#2", counts(pages))
    s.check("is_zero_page", pages[0] is ZERO_PAGE(0))
    s.check("page_maybe_dma_pinned", page_maybe_dma_pinned(pages[0]))
    unpin_user_pages(pages, n)
    s.check("after_unpin.page_count", counts(pages))


@scenario("filemap.h-gup-zeropage")
def gup_zeropage(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 0)
    zero = ZERO_PAGE(0)
    s.check("read", p.load(addr, 1)[0])
    before = page_count(zero)
    n, pages = locked(k, get_user_pages, addr, 1, 0)
    s.check("get_user_pages", n)
    s.check("is_zero_page", pages[0] is zero)
    s.check("get.page_count_delta", page_count(zero) - before)
    put_page(pages[0])
    s.check("after_put.page_count_delta", page_count(zero) - before)
    n, pages = pin_user_pages_fast(addr, 1, 0)
    s.check("pin_user_pages_fast", n)
    s.check("pinned_is_zero_page", pages[0] is zero)
    s.check("pin.page_count_delta", page_count(zero) - before)
    s.check("page_maybe_dma_pinned", page_maybe_dma_pinned(zero))
    unpin_user_page(pages[0])
    s.check("after_unpin.page_count_delta", page_count(zero) - before)
    n, pages = pin_user_pages_fast(addr, 1, FOLL_LONGTERM)
    s.check("pin_user_pages_fast#2", n)
    s.check("is_zero_page#2", pages[0] is zero)
    unpin_user_page(pages[0])


# -- wrong places, wrong endings ------------------------------------------------------------------------


@scenario("filemap.h-gup-fast-atomic")
def gup_fast_atomic(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 1)
    preempt_disable()
    n, pages = get_user_pages_fast(addr, 1, FOLL_WRITE)
    preempt_enable()
    s.check("get_user_pages_fast", n)
    put_page(pages[0])


@scenario("filemap.h-gup-fastonly-atomic")
def gup_fastonly_atomic(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 2, 1)
    for key, at, nr in (("", addr, 1), ("#2", addr, 2), ("#3", addr + PAGE, 1)):
        preempt_disable()
        n, pages = get_user_pages_fast_only(at, nr, FOLL_WRITE)
        preempt_enable()
        s.check(f"get_user_pages_fast_only{key}", n)
        for page in pages:
            put_page(page)


@scenario("filemap.h-gup-spin-touched")
def gup_spin_touched(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 1)
    lk = DEFINE_SPINLOCK("lk")
    mmap_read_lock(p.mm)
    spin_lock(lk)
    n, pages = get_user_pages(addr, 1, FOLL_WRITE)
    spin_unlock(lk)
    mmap_read_unlock(p.mm)
    s.check("get_user_pages", n)
    put_page(pages[0])


@scenario("filemap.h-gup-fast-held-untouched")
def gup_fast_held_untouched(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 2, 0)
    n, pages = locked(k, get_user_pages_fast, addr, 1, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    put_page(pages[0])


@scenario("filemap.h-gup-unlocked-held")
def gup_unlocked_held(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 2, 2)
    n, pages = locked(k, get_user_pages_unlocked, addr, 1, FOLL_WRITE)
    s.check("get_user_pages_unlocked", n)
    put_page(pages[0])


@scenario("filemap.h-gup-nolock-untouched")
def gup_nolock_untouched(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 0)
    n, pages = get_user_pages(addr, 1, FOLL_WRITE)
    s.check("get_user_pages", n)
    put_page(pages[0])


@scenario("filemap.h-gup-kthread")
def gup_kthread(k: Kernel, s: Replay) -> None:
    _, addr = anonymous(k, 1, 1)

    def kth(arg: int) -> int:
        get_user_pages_fast(arg, 1, 0)
        return 0

    kthread_run(kth, addr, "oracle_kth")
    k.run()
    raise kmock.KernelOops(k.reports[0])  # which only the thread has seen


@scenario("filemap.h-double-put")
def double_put(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 1)
    n, pages = get_user_pages_fast(addr, 1, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    for name in ("first_put", "second_put"):
        put_page(pages[0])
        state(s, name, pages[0])
    for key in ("task_state", "task_stack", "dies_on_SIGKILL", "task_exits_after_oops"):
        s.except_(key, "how long a task that died in the kernel stays is the recording machine's affair")
    p.munmap(addr, PAGE)


@scenario("filemap.h-pin-put")
def pin_put(k: Kernel, s: Replay) -> None:
    p, addr = anonymous(k, 1, 1)
    n, pages = pin_user_pages_fast(addr, 1, FOLL_WRITE)
    s.check("pin_user_pages_fast", n)
    state(s, "pinned", pages[0])
    put_page(pages[0])
    state(s, "after_put_page", pages[0])
    p.munmap(addr, PAGE)
    state(s, "after_munmap", pages[0])


# -- pages of a file ------------------------------------------------------------------------------------


def file_mapping(k: Kernel) -> tuple[Process, int, DiskInode]:
    """A process that maps the first page of a file of 64 KiB, of which nothing is in memory."""
    inode = k.inode(65536, "/mnt/u_file")
    inode.disk.write(0, b"-" * 65536)
    p = process(k)
    return p, p.mmap(p.open(inode.path), PAGE, RW, mmap.MAP_SHARED), inode


@scenario("filemap.h-dirty-file")
def dirty_file(k: Kernel, s: Replay) -> None:
    _, addr, inode = file_mapping(k)
    n, pages = get_user_pages_fast(addr, 1, 0)
    s.check("get_user_pages_fast", n)
    s.check("got.PageDirty", PageDirty(pages[0]))
    s.check("got.PageUptodate", PageUptodate(pages[0]))
    page_address(pages[0])[0] = ord("K")
    put_page(pages[0])
    result = filemap_write_and_wait_range(inode.i_mapping, 0, (1 << 63) - 1)
    s.check("without_set_page_dirty.filemap_write_and_wait_range", result)
    s.check("backing_store_byte_0", inode.disk.read(0, 1).decode())
    n, pages = get_user_pages_fast(addr, 1, 0)
    s.check("get_user_pages_fast#2", n)
    page_address(pages[0])[0] = ord("L")
    s.check("set_page_dirty_lock", set_page_dirty_lock(pages[0]))
    s.check("dirtied.PageDirty", PageDirty(pages[0]))
    s.check("dirtied.PageUptodate", PageUptodate(pages[0]))
    put_page(pages[0])
    result = filemap_write_and_wait_range(inode.i_mapping, 0, (1 << 63) - 1)
    s.check("with_set_page_dirty_lock.filemap_write_and_wait_range", result)
    s.check("backing_store_byte_0_then", inode.disk.read(0, 1).decode())


@scenario("filemap.h-pin-truncate")
def pin_truncate(k: Kernel, s: Replay) -> None:
    p, addr, _ = file_mapping(k)

    def look(when: str) -> None:
        s.check(f"{when}.page_count", page_count(page))
        s.check(f"{when}.page_mapcount", page_mapcount(page))
        s.check(f"{when}.page_maybe_dma_pinned", page_maybe_dma_pinned(page))

    n, (page,) = pin_user_pages_fast(addr, 1, FOLL_WRITE)
    s.check("pin_user_pages_fast", n)
    look("pinned")
    p.ftruncate(3, 0)
    look("after_truncate")
    unpin_user_pages_dirty_lock([page], 1, True)
    look("after_unpin")
    try:
        p.load(addr, 1)
    except kmock.UserSignal as signal:
        s.check("user_read", signal.signal)


@scenario("filemap.h-dirtylock-atomic")
def dirtylock_atomic(k: Kernel, s: Replay) -> None:
    _, addr, inode = file_mapping(k)
    lk = DEFINE_SPINLOCK("lk2")
    ops = inode.i_mapping.a_ops

    def slowly(page: Page, wbc: Any) -> int:
        msleep(10)
        unlock_page(page)
        return 0

    n, pages = get_user_pages_fast(addr, 1, FOLL_WRITE)
    s.check("get_user_pages_fast", n)
    # The recorded page was clean and locked by then: the flusher had it, as the fault had made it dirty.
    inode.i_mapping.a_ops = address_space_operations(writepage=slowly, dirty_folio=ops.dirty_folio)
    flusher = k.spawn(lambda: filemap_write_and_wait_range(inode.i_mapping, 0, PAGE - 1))
    msleep(1)
    spin_lock(lk)
    s.check("set_page_dirty_lock", set_page_dirty_lock(pages[0]))
    spin_unlock(lk)
    k.join(flusher)
    put_page(pages[0])
