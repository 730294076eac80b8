"""Areas of processes, as recorded: fault handlers, callbacks, fork, what flags forbid, what /proc shows."""

from __future__ import annotations

import errno
import mmap

import kmock
from kmock.linux.fs import file_operations, register_chrdev, unregister_chrdev
from kmock.linux.gfp import __GFP_ZERO as GFP_ZERO
from kmock.linux.gfp import GFP_KERNEL, alloc_pages
from kmock.linux.gfp import __free_page as free_one_page
from kmock.linux.mm import (
    VM_DONTCOPY,
    VM_DONTEXPAND,
    VM_FAULT_LOCKED,
    VM_FAULT_NOPAGE,
    VM_FAULT_OOM,
    VM_FAULT_SIGBUS,
    VM_MAYWRITE,
    VM_WRITE,
    access_process_vm,
    find_vma,
    get_page,
    page_address,
    page_count,
    page_mapcount,
    split_page,
    vm_operations_struct,
    vma_lookup,
)
from kmock.linux.pagemap import lock_page
from kmock.linux.sched import current
from kmock.linux.uaccess import copy_from_user
from tests.conformance.replay import scenario

PAGE = mmap.PAGESIZE
RW = mmap.PROT_READ | mmap.PROT_WRITE
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
MREMAP_MAYMOVE = 1
FLAGS = {
    0x1: "read",
    0x2: "write",
    0x4: "exec",
    0x8: "shared",
    0x10: "mayread",
    0x20: "maywrite",
    0x40: "mayexec",
    0x80: "mayshare",
}
DYING = "how a task that died with mmap_lock held hangs in its own exit; the process here is gone at once"


class Device:
    """``/dev/orc`` of the recordings: pages filled with letters, a mmap handler, a process that has it open."""

    def __init__(self, k, npages=0, order=None):
        self.k = k
        self.calls = dict.fromkeys(("fault", "open", "close", "may_split", "page_mkwrite"), 0)
        self.pages = []
        if npages:
            order = (npages - 1).bit_length() if order is None else order
            first = alloc_pages(GFP_KERNEL | GFP_ZERO, order)
            if order:
                split_page(first, order)
            self.pages = [first + i for i in range(1 << order)]
            for i, page in enumerate(self.pages):
                page_address(page)[0:PAGE] = bytes([ord("A") + i]) * PAGE
        self.fops = file_operations()
        self.major = register_chrdev(0, "orc", self.fops)
        self.p = k.user()
        self.handler = lambda _vma: 0
        self.fops.mmap = lambda _file, vma: self.handler(vma)
        self.fd = self.p.open("/dev/orc")

    def fault(self, vmf):
        self.calls["fault"] += 1
        if vmf.pgoff >= len(self.pages):
            return VM_FAULT_SIGBUS
        get_page(self.pages[vmf.pgoff])
        vmf.page = self.pages[vmf.pgoff]
        return 0

    def count(self, name):
        def counted(*_):
            self.calls[name] += 1
            return 0

        return counted

    def counted(self, **operations):
        return vm_operations_struct(open=self.count("open"), close=self.count("close"), **operations)

    def maps_with(self, ops, flags=0):
        def handler(vma):
            vma.vm_ops = ops
            vma.vm_flags |= flags
            return 0

        self.handler = handler

    def mmap(self, s, key, npages=1, prot=RW, flags=mmap.MAP_SHARED, offset=0):
        try:
            address = self.p.mmap(self.fd, npages * PAGE, prot, flags, offset)
        except OSError as error:
            s.check(key, errno.errorcode[error.errno])
            return 0
        s.check(key, "ok")
        return address

    def counts(self, s, prefix, page=None):
        pages = self.pages[: page or 1]
        s.check(f"{prefix}.page_count", shown([page_count(one) for one in pages]))
        s.check(f"{prefix}.page_mapcount", shown([page_mapcount(one) for one in pages]))

    def callbacks(self, s, prefix, *names):
        for name in names:
            s.check(f"{prefix}.{name}_calls", self.calls[name])

    def free(self):
        for page in self.pages:
            free_one_page(page)
        self.p.exit()
        unregister_chrdev(self.major, "orc")


def shown(numbers):
    return numbers[0] if len(numbers) == 1 else ",".join(map(str, numbers))


def read(p, address):
    try:
        byte = p.load(address, 1)
    except kmock.UserSignal as signal:
        return signal.signal
    return byte.decode() if byte != b"\0" else 0


def write(p, address, data=b"z"):
    try:
        p.store(address, data)
    except kmock.UserSignal as signal:
        return signal.signal
    return "ok"


def outcome(call, *args):
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"


def flags_text(flags):
    return "|".join(name for bit, name in FLAGS.items() if flags & bit)


def smaps_of(k, s, prefix, p, address):
    """Check what ``/proc/PID/smaps`` says of the area at ``address``."""
    entries, current_entry = {}, None
    for line in k.read_file(f"/proc/{p.pid}/smaps").splitlines():
        if line[0].islower() or line[0].isdigit():
            start, _, end = line.split()[0].partition("-")
            current_entry = entries[int(start, 16)] = {"line": line.split(), "end": int(end, 16)}
        else:
            label, _, value = line.partition(":")
            current_entry[label] = value.strip()
    entry = entries[address]
    s.check(f"{prefix}.perms", entry["line"][1])
    s.check(f"{prefix}.pages", (entry["end"] - address) // PAGE)
    s.check(f"{prefix}.name", entry["line"][5])
    s.check(f"{prefix}.offset", hex(int(entry["line"][2], 16)))
    for label in ("Rss", "Pss", "Anonymous", "VmFlags"):
        s.check(f"{prefix}.{label}", entry[label])


# -- fault handlers -------------------------------------------------------------------------------


@scenario("filemap.g-fault-noget")
def fault_noget(k, s):
    d = Device(k, 1)

    def fault(vmf):
        vmf.page = d.pages[0]
        return 0

    d.maps_with(vm_operations_struct(fault=fault))
    p = d.mmap(s, "mmap")
    d.counts(s, "before")
    s.check("read", read(d.p, p))
    d.counts(s, "mapped")
    d.p.munmap(p, PAGE)
    d.counts(s, "after_munmap")
    s.except_("driver_process_killed_by_signal", "the driver's code here is the test's own")
    free_one_page(d.pages[0])


@scenario("filemap.g-fault-notlocked")
def fault_notlocked(k, s):
    d = Device(k, 1)

    def fault(vmf):
        get_page(d.pages[0])
        vmf.page = d.pages[0]
        return VM_FAULT_LOCKED

    d.maps_with(vm_operations_struct(fault=fault))
    p = d.mmap(s, "mmap")
    for key in ("task_state", "task_stack", "dies_on_SIGKILL", "task_exits_after_oops"):
        s.except_(key, DYING)
    read(d.p, p)


@scenario(
    "filemap.g-fault-oom", fewer_reports="to have no memory is no mistake; the line is a rate-limited message of mm/"
)
def fault_oom(k, s):
    d = Device(k)

    def fault(vmf):
        d.calls["fault"] += 1
        return VM_FAULT_OOM if d.calls["fault"] < 3 else VM_FAULT_SIGBUS

    d.maps_with(vm_operations_struct(fault=fault))
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.callbacks(s, "c", "fault")
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-fault-mkwrite-nolock")
def fault_mkwrite_nolock(k, s):
    d = Device(k, 1)
    d.maps_with(vm_operations_struct(fault=d.fault, page_mkwrite=lambda vmf: 0))
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    s.except_("task_state", "a fault that is tried for ever is told at once")
    s.except_("task_stack", "a fault that is tried for ever is told at once")
    s.except_("dies_on_SIGKILL", "a fault that is tried for ever is told at once")
    write(d.p, p)


@scenario("filemap.g-fault-private")
def fault_private(k, s):
    d = Device(k, 1)
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap", flags=mmap.MAP_PRIVATE)
    s.check("read", read(d.p, p))
    d.counts(s, "after_read")
    s.check("write", write(d.p, p))
    d.counts(s, "after_write")
    d.callbacks(s, "c", "fault")
    s.check("kernel_view", page_address(d.pages[0])[0:1].decode())
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-fault-locked")
def fault_locked(k, s):
    d = Device(k, 1)

    def fault(vmf):
        ret = d.fault(vmf)
        lock_page(vmf.page)
        return ret | VM_FAULT_LOCKED

    d.maps_with(vm_operations_struct(fault=fault))
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.counts(s, "mapped")
    d.p.munmap(p, PAGE)
    d.counts(s, "after_munmap")
    d.free()


@scenario("filemap.g-fault-sigbus")
def fault_sigbus(k, s):
    d = Device(k)
    d.maps_with(vm_operations_struct(fault=lambda vmf: VM_FAULT_SIGBUS))
    p = d.mmap(s, "mmap", 2)
    try:
        d.p.load(p + PAGE + 5, 1)
    except kmock.UserSignal as signal:
        s.check("read", signal.signal)
        s.check("si_addr_minus_p", signal.address - p)
    s.except_("si_code", "UserSignal has the signal and the address")
    buffer = bytearray(1)
    s.check("kernel.copy_from_user_not_copied", copy_from_user(buffer, p, 1))
    s.check("kernel.access_process_vm", access_process_vm(current(), p, buffer, 1, 0))
    d.p.munmap(p, 2 * PAGE)
    d.free()


@scenario("filemap.g-fault-noinst")
def fault_noinst(k, s):
    d = Device(k)

    def fault(vmf):
        d.calls["fault"] += 1
        return VM_FAULT_NOPAGE if d.calls["fault"] < 4 else VM_FAULT_SIGBUS

    d.maps_with(vm_operations_struct(fault=fault))
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    d.callbacks(s, "c", "fault")
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-fault-none")
def fault_none(k, s):
    d = Device(k)
    p = d.mmap(s, "mmap")
    s.check("read", read(d.p, p))
    s.check("write", write(d.p, p))
    smaps_of(k, s, "smaps", d.p, p)
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-fault-mkwrite-wfirst")
def fault_mkwrite_wfirst(k, s):
    d = Device(k, 1)

    def page_mkwrite(vmf):
        d.calls["page_mkwrite"] += 1
        lock_page(vmf.page)
        return VM_FAULT_LOCKED

    d.maps_with(vm_operations_struct(fault=d.fault, page_mkwrite=page_mkwrite))
    p = d.mmap(s, "mmap")
    s.check("write", write(d.p, p))
    d.callbacks(s, "after_write", "fault", "page_mkwrite")
    d.p.munmap(p, PAGE)
    d.free()


# -- flags ----------------------------------------------------------------------------------------


@scenario("filemap.g-maywrite")
def maywrite(k, s):
    d = Device(k, 1)
    keys = iter(("vm_flags", "vm_flags#2"))

    def handler(vma):
        vma.vm_ops = d.counted(fault=d.fault)
        vma.vm_flags &= ~VM_MAYWRITE
        s.check(next(keys), flags_text(vma.vm_flags))
        return 0

    d.handler = handler
    p = d.mmap(s, "mmap", prot=mmap.PROT_READ)
    s.check("mprotect_rw", outcome(d.p.mprotect, p, PAGE, RW))
    s.check("write", write(d.p, p))
    d.p.munmap(p, PAGE)
    p = d.mmap(s, "mmap#2")
    s.check("write_on_writable_mapping", write(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-maywrite-kept", fewer_reports="mmap-write-allowed is looked for where pages are remapped")
def maywrite_kept(k, s):
    d = Device(k, 1)

    def handler(vma):
        if vma.vm_flags & VM_WRITE:
            return -errno.EPERM
        vma.vm_ops = d.counted(fault=d.fault)
        return 0

    d.handler = handler
    d.mmap(s, "mmap")
    p = d.mmap(s, "mmap#2", prot=mmap.PROT_READ)
    s.check("mprotect_rw", outcome(d.p.mprotect, p, PAGE, RW))
    s.check("write", write(d.p, p))
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-dontcopy")
def dontcopy(k, s):
    d = Device(k, 1)
    d.maps_with(d.counted(fault=d.fault), VM_DONTCOPY)
    p = d.mmap(s, "mmap")
    s.check("parent_read", read(d.p, p))
    d.counts(s, "before_fork")
    q = d.p.fork()
    s.check("child_has_vma", int(q.mm.vma_lookup(p) is not None))
    s.check("child_read", read(q, p))
    q.exit()
    d.callbacks(s, "c", "open", "close")
    d.counts(s, "after_child")
    d.p.munmap(p, PAGE)
    d.free()


@scenario("filemap.g-fork-counts")
def fork_counts(k, s):
    d = Device(k, 1)
    names = ("fault", "open", "close")
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap")
    s.check("parent_read", read(d.p, p))
    d.counts(s, "before_fork")
    d.callbacks(s, "before_fork", *names)
    q = d.p.fork()
    d.counts(s, "child_before_touch")
    s.check("child_read", read(q, p))
    d.counts(s, "child_after_touch")
    d.callbacks(s, "child", *names)
    q.exit()
    d.callbacks(s, "after_child", *names)
    d.counts(s, "after_child")
    d.p.munmap(p, PAGE)
    d.callbacks(s, "after_munmap", *names)
    d.free()


@scenario("filemap.g-dontexpand")
def dontexpand(k, s):
    d = Device(k, 1)
    d.maps_with(d.counted(fault=d.fault), VM_DONTEXPAND)
    p = d.mmap(s, "mmap")
    s.check("mremap_grow_VM_DONTEXPAND", outcome(d.p.mremap, p, PAGE, 2 * PAGE, MREMAP_MAYMOVE))
    d.p.munmap(p, PAGE)
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap#2")
    q = d.p.mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE)
    s.check("mremap_grow_plain", "ok")
    s.check("read_0", read(d.p, q))
    s.check("read_1_beyond_object", read(d.p, q + PAGE))
    d.p.munmap(q, 2 * PAGE)
    d.free()


# -- callbacks ------------------------------------------------------------------------------------

SPLIT = ("open", "close", "may_split")


def split_ops(d):
    return d.counted(fault=d.fault, may_split=d.count("may_split"))


@scenario("filemap.g-cb-split-mid")
def split_mid(k, s):
    d = Device(k, 4)
    d.maps_with(split_ops(d))
    p = d.mmap(s, "mmap", 4)
    d.p.munmap(p + PAGE, PAGE)
    d.callbacks(s, "after_hole_munmap", *SPLIT)
    d.p.munmap(p, PAGE)
    d.callbacks(s, "after_first_munmap", *SPLIT)
    d.p.munmap(p + 2 * PAGE, 2 * PAGE)
    d.callbacks(s, "after_last_munmap", *SPLIT)
    d.free()


@scenario("filemap.g-cb-split-head")
def split_head(k, s):
    d = Device(k, 4)
    d.maps_with(split_ops(d))
    p = d.mmap(s, "mmap", 4)
    d.p.munmap(p, PAGE)
    d.callbacks(s, "after_head_munmap", *SPLIT)
    d.p.munmap(p + 3 * PAGE, PAGE)
    d.callbacks(s, "after_tail_munmap", *SPLIT)
    d.p.munmap(p + PAGE, 2 * PAGE)
    d.callbacks(s, "end", *SPLIT)
    d.free()


@scenario("filemap.g-cb-mprotect")
def mprotect_middle(k, s):
    d = Device(k, 4)
    d.maps_with(split_ops(d))
    p = d.mmap(s, "mmap", 4)
    d.p.mprotect(p + PAGE, PAGE, mmap.PROT_READ)
    d.callbacks(s, "after_mprotect_middle", *SPLIT)
    d.p.mprotect(p + PAGE, PAGE, RW)
    d.callbacks(s, "after_mprotect_back", *SPLIT)
    smaps_of(k, s, "middle", d.p, p + PAGE)
    d.p.munmap(p, 4 * PAGE)
    d.callbacks(s, "after_munmap", *SPLIT)
    d.free()


@scenario("filemap.g-cb-noclose-merge")
def noclose_merge(k, s):
    d = Device(k, 4)
    d.maps_with(vm_operations_struct(fault=d.fault))
    p = d.mmap(s, "mmap", 4)
    d.p.mprotect(p + PAGE, PAGE, mmap.PROT_READ)
    smaps_of(k, s, "middle_split", d.p, p + PAGE)
    d.p.mprotect(p + PAGE, PAGE, RW)
    smaps_of(k, s, "after_mprotect_back", d.p, p)
    d.p.munmap(p, 4 * PAGE)
    d.free()


@scenario("filemap.g-cb-mmap-fail")
def mmap_fail(k, s):
    d = Device(k, 1)

    def handler(vma):
        vma.vm_ops = d.counted()
        return -errno.EBUSY

    d.handler = handler
    d.mmap(s, "mmap")
    d.callbacks(s, "c", "open", "close")
    d.free()


@scenario("filemap.g-cb-name")
def name(k, s):
    d = Device(k, 1)
    d.maps_with(vm_operations_struct(fault=d.fault, name=lambda vma: "[oracle-buf]"))
    p = d.mmap(s, "mmap")
    smaps_of(k, s, "smaps_file_vma_with_name_op", d.p, p)
    d.p.munmap(p, PAGE)
    d.maps_with(d.counted(fault=d.fault))
    p = d.mmap(s, "mmap#2", prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    smaps_of(k, s, "smaps_private", d.p, p)
    d.p.munmap(p, PAGE)
    d.free()


# -- looking areas up -----------------------------------------------------------------------------


@scenario("filemap.g-findvma-nolock")
def findvma_nolock(k, s):
    p = k.user()
    address = p.mmap(-1, PAGE, RW, ANONYMOUS)
    s.except_("driver_process_killed_by_signal", "the driver's code here is the test's own")
    find_vma(current().mm, address)


@scenario("filemap.g-vmalookup-nolock")
def vmalookup_nolock(k, s):
    p = k.user()
    address = p.mmap(-1, PAGE, RW, ANONYMOUS)
    s.check("found", int(vma_lookup(current().mm, address) is not None))
    p.exit()
