"""Memory that drivers show to processes, as recorded: by frame, page by page, from vmalloc; and how it is taken away."""

from __future__ import annotations

import mmap

import kmock
from kmock.linux.errno import EINVAL
from kmock.linux.gfp import GFP_KERNEL, alloc_pages
from kmock.linux.gfp import __free_page as free_one_page
from kmock.linux.mm import (
    FOLL_WRITE,
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_FAULT_NOPAGE,
    VM_IO,
    VM_MIXEDMAP,
    VM_PFNMAP,
    ZERO_PAGE,
    PageAnon,
    access_process_vm,
    follow_pfn,
    follow_pte,
    generic_access_phys,
    get_page,
    get_user_pages_fast,
    page_address,
    page_count,
    page_mapcount,
    page_to_pfn,
    pfn_valid,
    pte_dirty,
    pte_pfn,
    pte_special,
    pte_unmap_unlock,
    pte_write,
    pte_young,
    put_page,
    remap_pfn_range,
    unmap_mapping_range,
    virt_to_page,
    vm_insert_page,
    vm_insert_pages,
    vm_iomap_memory,
    vm_map_pages,
    vm_operations_struct,
    vma_lookup,
    vma_pages,
    vmalloc_to_page,
    vmf_insert_pfn,
    zap_page_range,
    zap_vma_ptes,
)
from kmock.linux.mmap_lock import mmap_read_lock, mmap_read_unlock, mmap_write_lock, mmap_write_unlock
from kmock.linux.page_flags import ClearPageReserved, PageHead, PageSlab, SetPageReserved
from kmock.linux.sched import current
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.vmalloc import remap_vmalloc_range, vfree, vmalloc, vmalloc_user
from tests.conformance.replay import scenario
from tests.conformance.test_mappings import (
    ANONYMOUS,
    DYING,
    MREMAP_MAYMOVE,
    PAGE,
    RW,
    Device,
    outcome,
    read,
    shown,
    smaps_of,
    write,
)

FIXED = 0x10
BAR = 0xFEBF_0000
SPECIAL_FLAGS = VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP
# In the order in which the recordings name them.
FLAGS = {
    0x1: "read", 0x2: "write", 0x4: "exec", 0x8: "shared", 0x10: "mayread", 0x20: "maywrite", 0x40: "mayexec",
    0x80: "mayshare", 0x400: "pfnmap", 0x4000: "io", 0x2_0000: "dontcopy", 0x4_0000: "dontexpand",
    0x10_0000: "account", 0x100_0000: "pat", 0x400_0000: "dontdump", 0x1000_0000: "mixedmap",
}  # fmt: skip


class Remapped(Device):
    """The device, and what its mmap handler does with an area."""

    def __init__(self, k, npages=0, order=None):
        super().__init__(k, npages, order)
        self.p.task.comm = k.current.comm = "orc"

    @property
    def pfn(self):
        return page_to_pfn(self.pages[0])

    def remaps(self, s, key="remap_pfn_range", ops=None):
        def handler(vma):
            vma.vm_ops = ops or vma.vm_ops
            ret = remap_whole(vma, self.pfn)
            s.check(key, ret)
            return ret

        self.handler = handler

    def inserts(self, s, key="vm_insert_page", ops=None):
        def handler(vma):
            vma.vm_ops = ops or vma.vm_ops
            ret = vm_insert_page(vma, vma.vm_start, self.pages[0])
            s.check(key, ret)
            return ret

        self.handler = handler

    def pfn_ops(self, s=None, keys=None):
        """Operations whose fault shows a frame; ``keys`` are what its results are called."""
        keys = iter(keys or [])

        def fault(vmf):
            self.calls["fault"] += 1
            ret = vmf_insert_pfn(vmf.vma, vmf.address, page_to_pfn(self.pages[vmf.pgoff]))
            if s is not None:
                s.check(next(keys), hex(ret))
            return ret

        return vm_operations_struct(fault=fault)

    def all_counts(self, s, prefix):
        s.check(f"{prefix}.page_count", shown([page_count(page) for page in self.pages]))
        s.check(f"{prefix}.page_mapcount", shown([page_mapcount(page) for page in self.pages]))

    def view(self):
        return "".join(page_address(page)[0:1].decode() for page in self.pages)

    def vma(self, address):
        return vma_lookup(self.p.mm, address)

    def pte(self, address):
        """An entry the way it was recorded."""
        mm = self.p.mm
        mmap_read_lock(mm)
        err, ptep, ptl = follow_pte(mm, address)
        words = f"none(follow_pte={err})"
        if not err:
            pte = ptep.value
            found = ["present", "write" if pte_write(pte) else "readonly"]
            tests = {"dirty": pte_dirty, "young": pte_young, "special": pte_special}
            found += [word for word, test in tests.items() if test(pte)]
            mine = pte_pfn(pte) in [page_to_pfn(page) for page in self.pages]
            words = ",".join([*found, "pfn-of-driver" if mine else "other-pfn"])
            pte_unmap_unlock(ptep, ptl)
        mmap_read_unlock(mm)
        return words


def remap_whole(vma, pfn):
    return remap_pfn_range(vma, vma.vm_start, pfn, vma.vm_end - vma.vm_start, vma.vm_page_prot)


def flags_text(flags):
    return "|".join(name for bit, name in FLAGS.items() if flags & bit)


def dies(s, *more):
    for key in ("task_state", "task_stack", "dies_on_SIGKILL", "task_exits_after_oops", *more):
        s.except_(key, DYING)


# -- frames: what goes well -----------------------------------------------------------------------------


@scenario("filemap.g-remap-half")
def remap_half(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        ret = remap_pfn_range(vma, vma.vm_start, d.pfn, PAGE, vma.vm_page_prot)
        s.check("remap_pfn_range", ret)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", 2)
    s.check("read_page_0", read(d.p, p))
    s.check("read_page_1_not_mapped", read(d.p, p + PAGE))
    d.p.munmap(p, 2 * PAGE)
    d.free()


@scenario("filemap.g-remap-two-parts")
def remap_two_parts(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        s.check("first_part", remap_pfn_range(vma, vma.vm_start, d.pfn, PAGE, vma.vm_page_prot))
        s.check("second_part", remap_pfn_range(vma, vma.vm_start + PAGE, d.pfn + 1, PAGE, vma.vm_page_prot))
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", 2)
    s.check("read_page_0", read(d.p, p))
    s.check("read_page_1", read(d.p, p + PAGE))
    d.p.munmap(p, 2 * PAGE)
    d.free()


@scenario("filemap.g-remap-private-full")
def remap_private_full(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        s.check("vm_flags_before", flags_text(vma.vm_flags))
        ret = remap_whole(vma, d.pfn)
        s.check("remap_pfn_range", ret)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        s.check("vm_pgoff_after", "pfn" if vma.vm_pgoff == d.pfn else vma.vm_pgoff)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", 2, flags=mmap.MAP_PRIVATE)
    s.check("read", read(d.p, p))
    s.check("pte_before_write", d.pte(p))
    s.check("write", write(d.p, p))
    s.check("reread", read(d.p, p))
    s.check("kernel_view", d.view())
    s.check("pte_after_write", d.pte(p))
    s.except_("smaps.offset", "it is checked as the pfn that vm_pgoff was set to")
    smaps_of(k, Without(s, "smaps.offset"), "smaps", d.p, p)
    d.all_counts(s, "mapped")
    d.p.munmap(p, 2 * PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


class Without:
    """A scenario in which some keys are checked elsewhere."""

    def __init__(self, s, *keys):
        self.s = s
        self.keys = keys

    def check(self, key, value):
        if key not in self.keys:
            self.s.check(key, value)


@scenario("filemap.g-remap-unaligned-size")
def remap_unaligned_size(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        ret = remap_pfn_range(vma, vma.vm_start, d.pfn, 100, vma.vm_page_prot)
        s.check("remap_pfn_range", ret)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", 2)
    s.check("last_byte_of_page_0", read(d.p, p + PAGE - 1))
    s.check("page_1", read(d.p, p + PAGE))
    d.p.munmap(p, 2 * PAGE)
    d.free()


@scenario("filemap.g-remap-pgoff")
def remap_pgoff(k, s):
    d = Remapped(k, 4)

    def handler(vma):
        s.check("vm_pgoff", vma.vm_pgoff)
        ret = remap_whole(vma, d.pfn + vma.vm_pgoff)
        s.check("remap_pfn_range", ret)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", 2, mmap.PROT_READ, offset=2 * PAGE)
    s.check("read_page_0", read(d.p, p))
    s.check("read_page_1", read(d.p, p + PAGE))
    smaps_of(k, s, "smaps", d.p, p)
    d.p.munmap(p, 2 * PAGE)
    d.free()


@scenario("filemap.g-remap-pgoff-ignored")
def remap_pgoff_ignored(k, s):
    d = Remapped(k, 4)
    d.remaps(s)
    p = d.mmap(s, "mmap", 2, mmap.PROT_READ, offset=2 * PAGE)
    s.check("read_page_0", read(d.p, p))
    d.p.munmap(p, 2 * PAGE)
    d.free()


@scenario("filemap.g-remap-fork")
def remap_fork(k, s):
    d = Remapped(k, 2)
    d.remaps(s, ops=d.counted())
    p = d.mmap(s, "mmap", 2)
    child = d.p.fork()
    s.check("child_read", read(child, p))
    s.check("child_write", write(child, p + PAGE, b"c"))
    smaps_of(k, s, "child_smaps", child, p)
    child.exit()
    s.check("parent_read_page_1", read(d.p, p + PAGE))
    d.all_counts(s, "after_child")
    d.callbacks(s, "after_child_exit", "open", "close")
    d.p.munmap(p, 2 * PAGE)
    d.callbacks(s, "after_munmap", "open", "close")
    d.free()


@scenario("filemap.g-remap-mremap")
def remap_mremap(k, s):
    d = Remapped(k, 2)
    d.remaps(s)
    p = d.mmap(s, "mmap", 2)
    s.check("mremap_grow", outcome(d.p.mremap, p, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE))
    q = p - 64 * PAGE
    s.check("mremap_move_same_size", outcome(d.p.mremap, p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | 2, q))
    s.check("read_at_new", read(d.p, q + PAGE))
    s.check("read_at_old", read(d.p, p))
    s.check("mremap_shrink", outcome(d.p.mremap, q, 2 * PAGE, PAGE, 0))
    s.check("read_page_1_after_shrink", read(d.p, q + PAGE))
    d.p.munmap(q, PAGE)
    d.free()


@scenario("filemap.g-remap-madvise")
def remap_madvise(k, s):
    d = Remapped(k, 1)
    d.remaps(s)
    p = d.mmap(s, "mmap")
    for name, advice in (("MADV_DONTNEED", 4), ("MADV_DOFORK", 11), ("MADV_DODUMP", 17)):
        s.check(name, outcome(d.p.madvise, p, PAGE, advice))
    s.check("mlock", outcome(d.p.mlock, p, PAGE))
    smaps_of(k, s, "smaps", d.p, p)
    s.check("mprotect_ro", outcome(d.p.mprotect, p, PAGE, mmap.PROT_READ))
    s.check("write_after_mprotect_ro", write(d.p, p))
    s.check("mprotect_rw", outcome(d.p.mprotect, p, PAGE, RW))
    s.check("write_after_mprotect_rw", write(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-remap-syscall-buffer")
def remap_syscall_buffer(k, s):
    d = Remapped(k, 1)
    d.remaps(s)
    p = d.mmap(s, "mmap")
    uaccess = k.uaccess
    s.check("write_pipe", len(uaccess.read(p, 100)))  # what a pipe does with its user's buffer
    s.check("read_pipe", uaccess.write(p + 200, bytes(100)))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-iomap")
def iomap(k, s):
    k.mmio(BAR, 0x4000)
    d = Remapped(k)

    def handler(vma):
        s.check("vma_pages", vma_pages(vma))
        s.check("vm_pgoff", vma.vm_pgoff)
        s.check("start_plus_len_wraps", vm_iomap_memory(vma, (1 << 64) - 101, 0x1000))
        s.check("len_0", vm_iomap_memory(vma, BAR, 0))
        s.check("len_1_page_vma_2_pages", vm_iomap_memory(vma, BAR, 0x1000))
        ret = vm_iomap_memory(vma, BAR + 0x10, 0x1FF0)
        s.check("unaligned_start_total_2_pages", ret)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", 2)
    d.p.munmap(p, 2 * PAGE)
    d.free()


@scenario("filemap.g-iomap-short")
def iomap_short(k, s):
    k.mmio(BAR, 0x4000)
    d = Remapped(k)

    def handler(vma):
        ret = vm_iomap_memory(vma, BAR, 0x1001)
        s.check("len_0x1001_vma_2_pages", ret)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", 2)
    s.check("read_page_1", "ok" if read(d.p, p + PAGE) is not None else "SIGBUS")
    d.p.munmap(p, 2 * PAGE)
    d.free()


# -- frames: what goes wrong ----------------------------------------------------------------------------


@scenario("filemap.g-remap-atomic")
def remap_atomic(k, s):
    d = Remapped(k, 1)
    lk = DEFINE_SPINLOCK("lk")

    def handler(vma):
        spin_lock(lk)
        ret = remap_whole(vma, d.pfn)
        spin_unlock(lk)
        s.check("remap_pfn_range", ret)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


def beyond(k, s, address):
    d = Remapped(k, 4)

    def handler(vma):
        ret = remap_pfn_range(vma, vma.vm_start, d.pfn, 2 * (vma.vm_end - vma.vm_start), vma.vm_page_prot)
        s.check("remap_pfn_range", ret)
        return ret

    d.handler = handler
    p = d.p.mmap(d.fd, 2 * PAGE, RW, mmap.MAP_SHARED | FIXED, addr=address)
    s.check("mmap", "ok")
    s.check("address_after_vma_in_maps", d.vma(p + 2 * PAGE) is not None)
    s.check("read_page_1", read(d.p, p + PAGE))
    s.check("read_page_2_outside_vma", read(d.p, p + 2 * PAGE))
    s.check("write_page_3_outside_vma", write(d.p, p + 3 * PAGE))
    s.check("kernel_view", d.view())
    d.p.munmap(p, 2 * PAGE)
    s.check("after_munmap_page_0", read(d.p, p))
    s.check("after_munmap_page_2", read(d.p, p + 2 * PAGE))
    d.free()


@scenario("filemap.g-remap-beyond")
def remap_beyond(k, s):
    beyond(k, s, 0x2000_0000)


@scenario("filemap.g-remap-beyond-pt")
def remap_beyond_pt(k, s):
    beyond(k, s, 0x201F_E000)


@scenario("filemap.g-remap-twice")
def remap_twice(k, s):
    d = Remapped(k, 1)

    def handler(vma):
        s.check("first", remap_whole(vma, d.pfn))
        return remap_whole(vma, d.pfn)

    d.handler = handler
    dies(s)
    d.p.mmap(d.fd, PAGE, RW, mmap.MAP_SHARED)


@scenario("filemap.g-remap-zero-size")
def remap_zero_size(k, s):
    d = Remapped(k, 1)
    d.handler = lambda vma: remap_pfn_range(vma, vma.vm_start, d.pfn, 0, vma.vm_page_prot)
    dies(s)
    d.p.mmap(d.fd, PAGE, RW, mmap.MAP_SHARED)


@scenario("filemap.g-remap-vmalloc-wrong")
def remap_vmalloc_wrong(k, s):
    d = Remapped(k)
    made = []

    def handler(vma):
        made.append(vmalloc(PAGE))
        # virt_to_phys() without CONFIG_DEBUG_VIRTUAL
        pfn = ((int(made[0]) - k.layout.page_offset) & (1 << 64) - 1) >> 12
        ret = remap_pfn_range(vma, vma.vm_start, pfn, PAGE, vma.vm_page_prot)
        s.check("remap_pfn_range", ret)
        s.check("pfn_valid", pfn_valid(pfn))
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", prot=mmap.PROT_READ)
    s.except_("driver_process_killed_by_signal", "the driver's code here is the test's own")
    read(d.p, p)


@scenario("filemap.g-remap-free-while-mapped")
def remap_free_while_mapped(k, s):
    d = Remapped(k, 1)
    d.remaps(s)
    p = d.mmap(s, "mmap")
    d.all_counts(s, "mapped")
    free_one_page(d.pages[0])
    s.check("read_after_free", read(d.p, p))
    s.check("write_after_free", write(d.p, p))
    d.p.munmap(p, PAGE)


@scenario("filemap.g-remap-slab")
def remap_slab(k, s):
    d = Remapped(k)
    kbuf = kmalloc(4096, GFP_KERNEL)
    kbuf[0:4096] = b"S" * 4096

    def handler(vma):
        s.check("PageSlab", PageSlab(virt_to_page(kbuf)))
        ret = remap_whole(vma, page_to_pfn(virt_to_page(kbuf)))
        s.check("remap_pfn_range", ret)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    s.check("write", write(d.p, p))
    kfree(kbuf)
    s.check("write_after_kfree", write(d.p, p, b"y"))
    d.p.munmap(p, PAGE)


@scenario("filemap.g-remap-cow-partial")
def remap_cow_partial(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        ret = remap_pfn_range(vma, vma.vm_start, d.pfn, PAGE, vma.vm_page_prot)
        s.check("remap_pfn_range", ret)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return ret

    d.handler = handler
    d.mmap(s, "mmap", 2, flags=mmap.MAP_PRIVATE)
    d.free()


@scenario("filemap.g-remap-cow-partial-ro")
def remap_cow_partial_ro(k, s):
    d = Remapped(k, 2)
    keys = iter(("", "#2"))

    def handler(vma):
        key = next(keys)
        ret = remap_pfn_range(vma, vma.vm_start, d.pfn, PAGE, vma.vm_page_prot)
        s.check(f"remap_pfn_range{key}", ret)
        s.check(f"vm_flags_after{key}", flags_text(vma.vm_flags))
        return ret

    d.handler = handler
    d.mmap(s, "mmap", 2, mmap.PROT_READ, mmap.MAP_PRIVATE)
    d.fd = d.p.open("/dev/orc", 0)
    d.mmap(s, "mmap#2", 2, mmap.PROT_READ, mmap.MAP_PRIVATE)
    d.free()


@scenario("filemap.g-remap-unaligned-addr")
def remap_unaligned_addr(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        ret = remap_pfn_range(vma, vma.vm_start + 0x100, d.pfn, PAGE, vma.vm_page_prot)
        s.check("remap_pfn_range", ret)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return ret

    d.handler = handler
    d.mmap(s, "mmap", 2)
    d.free()


@scenario("filemap.g-remap-procmem")
def remap_procmem(k, s):
    d = Remapped(k, 1)
    d.remaps(s)
    p = d.mmap(s, "mmap")
    buffer = bytearray(b"q")

    def pread():
        return access_process_vm(current(), p, buffer, 1, 0) or "EIO"

    s.check("pread_proc_self_mem", pread())
    d.p.munmap(p, PAGE)
    d.remaps(s, "remap_pfn_range#2", vm_operations_struct(access=access_phys))
    p = d.mmap(s, "mmap#2")
    s.check("pread_with_generic_access_phys", pread())
    s.check("byte", buffer.decode())
    d.p.munmap(p, PAGE)
    d.free()


def access_phys(vma, address, buffer, length, write):
    return generic_access_phys(vma, address, buffer, length, write)


@scenario("filemap.g-remap-after-ins")
def remap_after_ins(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        s.check("vm_insert_page", vm_insert_page(vma, vma.vm_start, d.pages[0]))
        s.check("remap_pfn_range", remap_pfn_range(vma, vma.vm_start + PAGE, d.pfn + 1, PAGE, vma.vm_page_prot))
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", 2)
    s.check("read_0", read(d.p, p))
    s.check("read_1", read(d.p, p + PAGE))
    d.all_counts(s, "mapped")
    d.p.munmap(p, 2 * PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


# -- pages ----------------------------------------------------------------------------------------------


@scenario("filemap.g-ins-atomic")
def ins_atomic(k, s):
    d = Remapped(k, 1)
    lk = DEFINE_SPINLOCK("lk")

    def handler(vma):
        spin_lock(lk)
        ret = vm_insert_page(vma, vma.vm_start, d.pages[0])
        spin_unlock(lk)
        s.check("vm_insert_page", ret)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-ins-private")
def ins_private(k, s):
    d = Remapped(k, 1)

    def handler(vma):
        s.check("vm_flags_before", flags_text(vma.vm_flags))
        s.check("vm_insert_page", vm_insert_page(vma, vma.vm_start, d.pages[0]))
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", flags=mmap.MAP_PRIVATE)
    s.check("pte", d.pte(p))
    d.all_counts(s, "mapped")
    s.check("write", write(d.p, p))
    d.all_counts(s, "after_write")
    s.check("kernel_view", d.view())
    s.check("pte_after_write", d.pte(p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-ins-readonly")
def ins_readonly(k, s):
    d = Remapped(k, 1)

    def handler(vma):
        s.check("vm_flags_before", flags_text(vma.vm_flags))
        s.check("vm_insert_page", vm_insert_page(vma, vma.vm_start, d.pages[0]))
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", prot=mmap.PROT_READ)
    s.check("pte", d.pte(p))
    s.check("write", write(d.p, p))
    s.check("mprotect_rw", outcome(d.p.mprotect, p, PAGE, RW))
    s.check("write2", write(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


REFUSED = "the kernel refuses with an error, and kmock says what was wrong"


@scenario("filemap.g-ins-slab", more_reports=REFUSED)
def ins_slab(k, s):
    d = Remapped(k)

    def handler(vma):
        p = kmalloc(4096, GFP_KERNEL)
        s.check("vm_insert_page", vm_insert_page(vma, vma.vm_start, virt_to_page(p)))
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        kfree(p)
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap")
    d.p.munmap(p, PAGE)


@scenario("filemap.g-ins-kmalloc-large")
def ins_kmalloc_large(k, s):
    d = Remapped(k)
    kbuf = kmalloc(32768, GFP_KERNEL)
    kbuf[0:32768] = b"L" * 32768
    page = virt_to_page(kbuf)

    def handler(vma):
        s.check("PageSlab", PageSlab(page))
        s.check("PageHead", PageHead(page))
        ret = vm_insert_page(vma, vma.vm_start, page)
        s.check("vm_insert_page", ret)
        s.check("after.page_count", page_count(page))
        s.check("after.page_mapcount", page_mapcount(page))
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    kfree(kbuf)


@scenario("filemap.g-ins-anon", more_reports=REFUSED)
def ins_anon(k, s):
    d = Remapped(k, 1)
    d.maps_with(d.counted())
    p = d.mmap(s, "mmap")
    q = d.p.mmap(-1, PAGE, RW, ANONYMOUS)
    d.p.store(q, b"a")
    n, pages = get_user_pages_fast(q, 1, FOLL_WRITE)
    s.check("gup", n)
    s.check("PageAnon", PageAnon(pages[0]))
    mmap_write_lock(d.p.mm)
    s.check("vm_insert_page", vm_insert_page(d.vma(p), p, pages[0]))
    mmap_write_unlock(d.p.mm)
    put_page(pages[0])
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-ins-twice")
def ins_twice(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        for key, page in (("first", 0), ("second_same_page", 0), ("third_other_page", 1)):
            s.check(key, vm_insert_page(vma, vma.vm_start, d.pages[page]))
        for i in range(2):
            s.check(f"pg{i}.page_count", page_count(d.pages[i]))
            s.check(f"pg{i}.page_mapcount", page_mapcount(d.pages[i]))
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


@scenario("filemap.g-ins-two-addr")
def ins_two_addr(k, s):
    d = Remapped(k, 1)

    def handler(vma):
        s.check("first", vm_insert_page(vma, vma.vm_start, d.pages[0]))
        s.check("second", vm_insert_page(vma, vma.vm_start + PAGE, d.pages[0]))
        d.all_counts(s, "pg0")
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", 2)
    s.check("write_0", write(d.p, p))
    s.check("read_1", read(d.p, p + PAGE))
    d.p.munmap(p, PAGE)
    d.all_counts(s, "after_munmap_first")
    d.p.munmap(p + PAGE, PAGE)
    d.all_counts(s, "after_munmap_second")
    d.free()


@scenario("filemap.g-ins-put-early")
def ins_put_early(k, s):
    d = Remapped(k, 1)
    d.inserts(s)
    p = d.mmap(s, "mmap")
    d.all_counts(s, "mapped")
    put_page(d.pages[0])
    d.all_counts(s, "driver_reference_dropped")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)


@scenario("filemap.g-ins-overput")
def ins_overput(k, s):
    d = Remapped(k, 1)
    d.inserts(s)
    p = d.mmap(s, "mmap")
    put_page(d.pages[0])
    d.all_counts(s, "one_put")
    put_page(d.pages[0])
    d.all_counts(s, "two_puts")
    s.check("read", read(d.p, p))
    dies(s)
    d.p.munmap(p, PAGE)


@scenario("filemap.g-ins-leak")
def ins_leak(k, s):
    d = Remapped(k, 1)
    get_page(d.pages[0])
    d.inserts(s)
    p = d.mmap(s, "mmap")
    d.all_counts(s, "mapped")
    d.p.munmap(p, PAGE)
    d.all_counts(s, "after_munmap")
    free_one_page(d.pages[0])
    d.all_counts(s, "after_free")


@scenario("filemap.g-ins-late-wlock")
def ins_late_wlock(k, s):
    d = Remapped(k, 1)
    d.maps_with(d.counted())
    p = d.mmap(s, "mmap")
    mmap_write_lock(d.p.mm)
    vma = d.vma(p)
    s.check("vm_insert_page", vm_insert_page(vma, vma.vm_start, d.pages[0]))
    s.check("vm_flags_after", flags_text(vma.vm_flags))
    mmap_write_unlock(d.p.mm)
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


def inserting_fault(d):
    def fault(vmf):
        vm_insert_page(vmf.vma, vmf.address, d.pages[vmf.pgoff])
        return VM_FAULT_NOPAGE

    return vm_operations_struct(fault=fault)


@scenario("filemap.g-ins-late-mixed-rlock")
def ins_late_mixed_rlock(k, s):
    d = Remapped(k, 1)
    d.maps_with(inserting_fault(d), VM_MIXEDMAP)
    p = d.mmap(s, "mmap")
    mmap_read_lock(d.p.mm)
    s.check("vm_insert_page", vm_insert_page(d.vma(p), p, d.pages[0]))
    mmap_read_unlock(d.p.mm)
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


@scenario("filemap.g-ins-late-mixed-nolock")
def ins_late_mixed_nolock(k, s):
    d = Remapped(k, 1)
    d.maps_with(inserting_fault(d), VM_MIXEDMAP)
    p = d.mmap(s, "mmap")
    s.check("vm_insert_page", vm_insert_page(d.p.mm.vma_lookup(p), p, d.pages[0]))
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


@scenario("filemap.g-ins-late-rlock")
def ins_late_rlock(k, s):
    d = Remapped(k, 1)
    d.maps_with(d.counted())
    p = d.mmap(s, "mmap")
    dies(s)
    mmap_read_lock(d.p.mm)
    vma = d.vma(p)
    vm_insert_page(vma, vma.vm_start, d.pages[0])


@scenario("filemap.g-ins-in-fault-noflag")
def ins_in_fault_noflag(k, s):
    d = Remapped(k, 1)
    d.maps_with(inserting_fault(d))
    p = d.mmap(s, "mmap")
    dies(s)
    read(d.p, p)


@scenario("filemap.g-ins-after-remap")
def ins_after_remap(k, s):
    d = Remapped(k, 2)

    def handler(vma):
        s.check("remap_pfn_range", remap_pfn_range(vma, vma.vm_start, d.pfn, PAGE, vma.vm_page_prot))
        return vm_insert_page(vma, vma.vm_start + PAGE, d.pages[1])

    d.handler = handler
    dies(s)
    d.p.mmap(d.fd, 2 * PAGE, RW, mmap.MAP_SHARED)


@scenario("filemap.g-ins-reserved")
def ins_reserved(k, s):
    d = Remapped(k, 1)

    def handler(vma):
        SetPageReserved(d.pages[0])
        ret = vm_insert_page(vma, vma.vm_start, d.pages[0])
        s.check("vm_insert_page", ret)
        d.all_counts(s, "after")
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap")
    d.p.munmap(p, PAGE)
    d.all_counts(s, "after_munmap")
    ClearPageReserved(d.pages[0])
    d.free()


@scenario("filemap.g-ins-zeropage")
def ins_zeropage(k, s):
    d = Remapped(k)

    def handler(vma):
        ret = vm_insert_page(vma, vma.vm_start, ZERO_PAGE(0))
        s.check("vm_insert_page", ret)
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-ins-pages")
def ins_pages(k, s):
    d = Remapped(k, 4)

    def handler(vma):
        ret, left = vm_insert_pages(vma, vma.vm_start, d.pages, 4)
        s.check("vm_insert_pages", ret)
        s.check("num_left", left)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return ret

    d.handler = handler
    p = d.mmap(s, "mmap", 4)
    d.all_counts(s, "mapped")
    s.check("read_3", read(d.p, p + 3 * PAGE))
    d.p.munmap(p, 4 * PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


@scenario("filemap.g-ins-pages-far", more_reports=REFUSED)
def ins_pages_far(k, s):
    d = Remapped(k, 8)

    def handler(vma):
        ret, left = vm_insert_pages(vma, vma.vm_start, d.pages, 5)
        s.check("vma_4_pages_num_5", ret)
        s.check("num_left", left)
        s.check("below_vm_start", vm_insert_pages(vma, vma.vm_start - PAGE, d.pages, 1)[0])
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", 4)
    d.all_counts(s, "mapped")
    d.p.munmap(p, 4 * PAGE)
    d.free()


@scenario("filemap.g-ins-pages-bad2", more_reports=REFUSED)
def ins_pages_bad2(k, s):
    d = Remapped(k, 12, order=4)
    for page in d.pages[12:]:
        free_one_page(page)
    del d.pages[12:]
    pair = alloc_pages(GFP_KERNEL, 1)

    def handler(vma):
        v = list(d.pages)
        v[10] = pair + 1
        ret, left = vm_insert_pages(vma, vma.vm_start, v, 12)
        s.check("vm_insert_pages", ret)
        s.check("num_left", left)
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", 12)
    d.all_counts(s, "mapped")
    d.p.munmap(p, 12 * PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


def map_pages(k, s, npages, offset):
    d = Remapped(k, 4)

    def handler(vma):
        s.check("vma_pages", vma_pages(vma))
        s.check("vm_pgoff", vma.vm_pgoff)
        ret = vm_map_pages(vma, d.pages, 4)
        s.check("vm_map_pages", ret)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        return ret

    d.handler = handler
    d.mmap(s, "mmap", npages, offset=offset)
    d.free()


@scenario("filemap.g-map-pages-toolong")
def map_pages_toolong(k, s):
    map_pages(k, s, 4, PAGE)


@scenario("filemap.g-map-pages-offend")
def map_pages_offend(k, s):
    map_pages(k, s, 1, 4 * PAGE)


@scenario("filemap.g-map-pages-mid", more_reports=REFUSED)
def map_pages_mid(k, s):
    d = Remapped(k, 4)
    pair = alloc_pages(GFP_KERNEL, 1)

    def handler(vma):
        ret = vm_map_pages(vma, [d.pages[0], d.pages[1], pair + 1, d.pages[3]], 4)
        s.check("vm_map_pages", ret)
        for i in (0, 3):
            s.check(f"pg{i}_in_handler.page_count", page_count(d.pages[i]))
            s.check(f"pg{i}_in_handler.page_mapcount", page_mapcount(d.pages[i]))
        return ret

    d.handler = handler
    d.mmap(s, "mmap", 4)
    d.all_counts(s, "after_failed_mmap")
    d.free()


@scenario("filemap.g-fork-insert")
def fork_insert(k, s):
    d = Remapped(k, 1)
    d.inserts(s, ops=d.counted(fault=d.fault))
    p = d.mmap(s, "mmap")
    d.all_counts(s, "before_fork")
    child = d.p.fork()
    d.all_counts(s, "child")
    s.check("child_read", read(child, p))
    d.callbacks(s, "child", "fault", "open", "close")
    child.exit()
    d.all_counts(s, "after_child")
    d.p.munmap(p, PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


@scenario("filemap.g-madv-dontneed-insert")
def madv_dontneed_insert(k, s):
    d = Remapped(k, 1)
    d.inserts(s)
    p = d.mmap(s, "mmap")
    s.check("MADV_DONTNEED", outcome(d.p.madvise, p, PAGE, 4))
    d.all_counts(s, "after")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


# -- vmalloc --------------------------------------------------------------------------------------------


def letters(vbuf):
    for i in range(4):
        vbuf[i * PAGE : (i + 1) * PAGE] = bytes([ord("a") + i]) * PAGE
    return [vmalloc_to_page(vbuf + i * PAGE) for i in range(4)]


def maps_vmalloc(s, d):
    made = []

    def handler(vma):
        made.append(vmalloc_user(4 * PAGE))
        d.pages = letters(made[0])
        ret = remap_vmalloc_range(vma, made[0], vma.vm_pgoff)
        s.check("remap_vmalloc_range", ret)
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        s.check("page0.page_count", page_count(d.pages[0]))
        s.check("page0.page_mapcount", page_mapcount(d.pages[0]))
        return ret

    d.handler = handler
    return d.mmap(s, "mmap", 4), made[0]


@scenario("filemap.g-vmalloc-user")
def vmalloc_user_mapped(k, s):
    d = Remapped(k)
    p, vbuf = maps_vmalloc(s, d)
    s.check("read_0", read(d.p, p))
    s.check("read_3", read(d.p, p + 3 * PAGE))
    smaps_of(k, s, "smaps", d.p, p)
    d.p.munmap(p, 4 * PAGE)
    d.all_counts(s, "after_munmap")
    vfree(vbuf)


@scenario("filemap.g-vmalloc-vfree-mapped")
def vmalloc_vfree_mapped(k, s):
    d = Remapped(k)
    p, vbuf = maps_vmalloc(s, d)
    vfree(vbuf)
    d.all_counts(s, "after_vfree")
    s.check("read_after_vfree", read(d.p, p))
    d.p.munmap(p, 4 * PAGE)


@scenario("filemap.g-vmalloc-bad", more_reports=REFUSED)
def vmalloc_bad(k, s):
    d = Remapped(k)

    def handler(vma):
        vbuf = vmalloc(4 * PAGE)
        s.check("not_VM_USERMAP", remap_vmalloc_range(vma, vbuf, 0))
        vfree(vbuf)
        vbuf = vmalloc_user(4 * PAGE)
        s.check("vma_pages", vma_pages(vma))
        s.check("pgoff_1_of_4_pages_vma_4", remap_vmalloc_range(vma, vbuf, 1))
        s.check("pgoff_4", remap_vmalloc_range(vma, vbuf, 4))
        s.check("pgoff_overflow", remap_vmalloc_range(vma, vbuf, (1 << 63) - 1))
        s.check("addr_unaligned", remap_vmalloc_range(vma, vbuf + 8, 0))
        p = kmalloc(16384, GFP_KERNEL)
        s.check("kmalloc_addr", remap_vmalloc_range(vma, p, 0))
        s.check("vm_flags_after", flags_text(vma.vm_flags))
        kfree(p)
        vfree(vbuf)
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", 4)
    d.p.munmap(p, 4 * PAGE)


@scenario("filemap.g-vmalloc-inside")
def vmalloc_inside(k, s):
    d = Remapped(k)

    def handler(vma):
        vbuf = vmalloc_user(4 * PAGE)
        s.check("vma_pages", vma_pages(vma))
        return remap_vmalloc_range(vma, vbuf + PAGE, 0)

    d.handler = handler
    dies(s)
    d.p.mmap(d.fd, 4 * PAGE, RW, mmap.MAP_SHARED)


# -- single frames --------------------------------------------------------------------------------------


@scenario("filemap.g-pfn-ok")
def pfn_ok(k, s):
    d = Remapped(k, 2)
    d.maps_with(d.pfn_ops(s, ["vmf_insert_pfn"]), SPECIAL_FLAGS)
    p = d.mmap(s, "mmap", 2)
    s.check("read_0", read(d.p, p))
    s.check("read_0_again", read(d.p, p + 8))
    s.check("write_0", write(d.p, p))
    s.check("pte", d.pte(p))
    d.callbacks(s, "c", "fault")
    d.all_counts(s, "mapped")
    smaps_of(k, s, "smaps", d.p, p)
    d.p.munmap(p, 2 * PAGE)
    d.all_counts(s, "after_munmap")
    d.free()


def bug_in_fault(k, s, flags, sharing=mmap.MAP_SHARED):
    d = Remapped(k, 1)
    d.maps_with(d.pfn_ops(), flags)
    p = d.mmap(s, "mmap", flags=sharing)
    dies(s)
    read(d.p, p)


@scenario("filemap.g-pfn-noflag")
def pfn_noflag(k, s):
    bug_in_fault(k, s, 0)


@scenario("filemap.g-pfn-both")
def pfn_both(k, s):
    bug_in_fault(k, s, VM_PFNMAP | VM_MIXEDMAP)


@scenario("filemap.g-pfn-cow")
def pfn_cow(k, s):
    bug_in_fault(k, s, SPECIAL_FLAGS, mmap.MAP_PRIVATE)


@scenario("filemap.g-pfn-mixed-valid")
def pfn_mixed_valid(k, s):
    bug_in_fault(k, s, VM_MIXEDMAP)


@scenario("filemap.g-pfn-out", more_reports=REFUSED)
def pfn_out(k, s):
    d = Remapped(k, 1)

    def fault(vmf):
        vma = vmf.vma
        s.check("vmf_insert_pfn_at_vm_end", hex(vmf_insert_pfn(vma, vma.vm_end, d.pfn)))
        ret = vmf_insert_pfn(vma, vma.vm_start - PAGE, d.pfn)
        s.check("vmf_insert_pfn_below_vm_start", hex(ret))
        return ret

    d.maps_with(vm_operations_struct(fault=fault), VM_PFNMAP)
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-pfn-twice")
def pfn_twice(k, s):
    d = Remapped(k, 2)

    def fault(vmf):
        s.check("first", hex(vmf_insert_pfn(vmf.vma, vmf.address, d.pfn)))
        ret = vmf_insert_pfn(vmf.vma, vmf.address, d.pfn + 1)
        s.check("second_other_pfn", hex(ret))
        return ret

    d.maps_with(vm_operations_struct(fault=fault), VM_PFNMAP)
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


# -- taking away ----------------------------------------------------------------------------------------


def zap(d, p, first, n):
    mmap_read_lock(d.p.mm)
    vma = d.vma(p)
    zap_vma_ptes(vma, vma.vm_start + first * PAGE, n * PAGE)
    mmap_read_unlock(d.p.mm)


@scenario("filemap.g-zap-inside")
def zap_inside(k, s):
    d = Remapped(k, 4)
    keys = ["vmf_insert_pfn", *(f"vmf_insert_pfn#{n}" for n in range(2, 6))]
    d.maps_with(d.pfn_ops(s, keys), SPECIAL_FLAGS)
    p = d.mmap(s, "mmap", 4)
    for i in range(4):
        s.check(f"r{i}", read(d.p, p + i * PAGE))
    d.callbacks(s, "before_zap", "fault")
    zap(d, p, 1, 2)
    for i in (0, 1, 3):
        s.check(f"pte_{i}", d.pte(p + i * PAGE))
    s.check("r1_again", read(d.p, p + PAGE))
    s.check("r0_again", read(d.p, p))
    d.callbacks(s, "after_zap", "fault")
    d.p.munmap(p, 4 * PAGE)
    d.free()


@scenario("filemap.g-zap-outside")
def zap_outside(k, s):
    d = Remapped(k, 4)
    d.maps_with(d.pfn_ops(s, ["vmf_insert_pfn"]), SPECIAL_FLAGS)
    p = d.mmap(s, "mmap", 4)
    s.check("r3", read(d.p, p + 3 * PAGE))
    zap(d, p, 3, 2)
    s.check("pte_3", d.pte(p + 3 * PAGE))
    d.p.munmap(p, 4 * PAGE)
    d.free()


@scenario("filemap.g-zap-remap-nofault")
def zap_remap_nofault(k, s):
    d = Remapped(k, 1)
    d.remaps(s)
    p = d.mmap(s, "mmap")
    s.check("before", read(d.p, p))
    zap(d, p, 0, 1)
    s.check("after", read(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-zap-nolock")
def zap_nolock(k, s):
    d = Remapped(k, 1)
    d.maps_with(d.pfn_ops(s, ["vmf_insert_pfn"]), SPECIAL_FLAGS)
    p = d.mmap(s, "mmap")
    s.check("r0", read(d.p, p))
    vma = d.p.mm.vma_lookup(p)
    zap_vma_ptes(vma, vma.vm_start, PAGE)
    s.check("pte", d.pte(p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-zap-page-range-nolock")
def zap_page_range_nolock(k, s):
    d = Remapped(k, 1)
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap")
    s.check("r0", read(d.p, p))
    vma = d.p.mm.vma_lookup(p)
    zap_page_range(vma, vma.vm_start, PAGE)
    s.check("pte", d.pte(p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-unmap-atomic")
def unmap_atomic(k, s):
    d = Remapped(k, 1)
    lk = DEFINE_SPINLOCK("lk")
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    mapping = d.p.mm.vma_lookup(p).vm_file.f_mapping
    spin_lock(lk)
    unmap_mapping_range(mapping, 0, PAGE, 1)
    spin_unlock(lk)
    d.p.munmap(p, PAGE)
    d.free()


def unmap_hole(k, s, sharing, even_cows):
    d = Remapped(k, 3)
    free_one_page(d.pages.pop())
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap", 3, flags=sharing)
    s.check("read_0", read(d.p, p))
    s.check("write_1", write(d.p, p + PAGE))
    s.check("read_2", read(d.p, p + 2 * PAGE))
    d.callbacks(s, "before", "fault")
    d.all_counts(s, "before")
    unmap_mapping_range(d.p.mm.vma_lookup(p).vm_file.f_mapping, 0, 8192, even_cows)
    for i, name in enumerate(("pte_0_only_read", "pte_1_written", "pte_2_outside_hole")):
        s.check(name, d.pte(p + i * PAGE))
    d.all_counts(s, "after")
    s.check("reread_1", read(d.p, p + PAGE))
    d.callbacks(s, "after_reread", "fault")
    d.p.munmap(p, 3 * PAGE)
    d.free()


@scenario("filemap.g-unmap-shared-1")
def unmap_shared_1(k, s):
    unmap_hole(k, s, mmap.MAP_SHARED, 1)


@scenario("filemap.g-unmap-private-0")
def unmap_private_0(k, s):
    unmap_hole(k, s, mmap.MAP_PRIVATE, 0)


@scenario("filemap.g-unmap-private-1")
def unmap_private_1(k, s):
    unmap_hole(k, s, mmap.MAP_PRIVATE, 1)


@scenario("filemap.g-unmap-unaligned")
def unmap_unaligned(k, s):
    d = Remapped(k, 3)
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap", 3)
    for i in range(3):
        s.check(f"r{i}", read(d.p, p + i * PAGE))
    unmap_mapping_range(d.p.mm.vma_lookup(p).vm_file.f_mapping, 100, 10, 1)
    s.check("pte_0", d.pte(p))
    s.check("pte_1", d.pte(p + PAGE))
    d.p.munmap(p, 3 * PAGE)
    d.free()


# -- looking --------------------------------------------------------------------------------------------


@scenario("filemap.g-follow-remap")
def follow_remap(k, s):
    d = Remapped(k, 2)
    d.remaps(s)
    p = d.mmap(s, "mmap", 2)
    address = p + PAGE + 0x123
    mmap_read_lock(d.p.mm)
    err, pfn = follow_pfn(d.vma(address), address)
    s.check("remap.follow_pfn", err)
    s.check("remap.pfn_is", f"pg[{pfn - d.pfn}]")
    s.check("remap.follow_pte", pte_found(d.p.mm, address))
    mmap_read_unlock(d.p.mm)
    d.p.munmap(p, 2 * PAGE)
    d.free()


def pte_found(mm, address):
    err, ptep, ptl = follow_pte(mm, address)
    if not err:
        pte_unmap_unlock(ptep, ptl)
    return err


@scenario("filemap.g-follow-normal")
def follow_normal(k, s):
    d = Remapped(k, 1)
    d.inserts(s)
    p = d.mmap(s, "mmap")
    q = d.p.mmap(-1, PAGE, RW, ANONYMOUS)
    d.p.store(q, b"\1")
    for name, address in (("mixedmap", p), ("anonymous", q)):
        mmap_read_lock(d.p.mm)
        s.check(f"{name}.follow_pfn", follow_pfn(d.vma(address), address)[0])
        s.check(f"{name}.follow_pte", pte_found(d.p.mm, address))
        mmap_read_unlock(d.p.mm)
    d.p.munmap(p, PAGE)
    d.free()


assert EINVAL == 22, kmock
