"""``/proc/PID/maps``, ``smaps`` and the ``Vm`` lines of ``status`` (``fs/proc/task_mmu.c``)."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY
from kmock.mm.mm_struct import PTE_SOFT_PRESENT
from kmock.mm.page import PG_dirty, PG_referenced
from kmock.mm.rmap import MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS, is_anon
from kmock.mm.unmap import vm_normal_page
from kmock.mm.vm_flags import (
    MNEMONICS,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_MAYSHARE,
    VM_PFNMAP,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.fs.files import KernelFiles
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vma import vm_area_struct
    from kmock.user.process import Process

_PAGE = 4096
_SHMEM_DEV = 1


def attach(files: KernelFiles) -> None:
    """Add the files of every process, and of ``self``, whom the test acts for."""
    shown: dict[str, Callable[[Process], str]] = {"maps": maps, "smaps": smaps, "status": status}
    for name, show in shown.items():
        files.add(f"/proc/{{pid}}/{name}", partial(_show, files.kernel, show))


def _show(k: Kernel, show: Callable[[Process], str], pid: str) -> str:
    for process in k.processes:
        if str(process.pid) == pid or (pid == "self" and process.mm is k.current.mm):
            return show(process)
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), f"/proc/{pid}")


def maps(process: Process) -> str:
    """``/proc/PID/maps``."""
    return "".join(f"{_header(vma)}\n" for vma in process.mm.vmas.values())


def smaps(process: Process) -> str:
    """``/proc/PID/smaps``."""
    return "".join(f"{line}\n" for vma in process.mm.vmas.values() for line in _smap(vma))


# -- one area -------------------------------------------------------------------------------------


def _header(vma: vm_area_struct) -> str:
    # show_map_vma()
    flags = vma.vm_flags
    file = vma.vm_file
    perms = "".join(
        letter if flags & bit else "-" for bit, letter in ((VM_READ, "r"), (VM_WRITE, "w"), (VM_EXEC, "x"))
    ) + ("s" if flags & VM_MAYSHARE else "p")
    pgoff, dev, ino = 0, 0, 0
    if file is not None:
        inode = getattr(file, "f_inode", None)
        pgoff = vma.vm_pgoff << 12
        dev, ino = (inode.s_dev, inode.i_ino) if inode is not None else (_SHMEM_DEV, file.ino)
    line = f"{vma.vm_start:08x}-{vma.vm_end:08x} {perms} {pgoff:08x} 00:{dev:02x} {ino} "
    name = _name(vma, file)
    return f"{line:<72} {name}" if name else line


def _name(vma: vm_area_struct, file: Any) -> str:
    if file is not None:
        return str(file.path)
    if vma.vm_ops is not None and vma.vm_ops.name is not None and (name := vma.vm_ops.name(vma)):
        return str(name)
    mm = vma.vm_mm
    if mm.brk > mm.start_brk and vma.vm_start <= mm.brk and vma.vm_end >= mm.start_brk:
        return "[heap]"
    return ""


@dataclass
class MemSizeStats:
    """``struct mem_size_stats``: what an area's pages add up to, in bytes; pss in 4096ths."""

    resident: int = 0
    pss: int = 0
    pss_dirty: int = 0
    shared_clean: int = 0
    shared_dirty: int = 0
    private_clean: int = 0
    private_dirty: int = 0
    referenced: int = 0
    anonymous: int = 0
    pss_locked: int = 0


_LABELS = (
    ("Rss", "resident"),
    ("Pss", "pss"),
    ("Pss_Dirty", "pss_dirty"),
    ("Shared_Clean", "shared_clean"),
    ("Shared_Dirty", "shared_dirty"),
    ("Private_Clean", "private_clean"),
    ("Private_Dirty", "private_dirty"),
    ("Referenced", "referenced"),
    ("Anonymous", "anonymous"),
    ("LazyFree", ""),
    ("AnonHugePages", ""),
    ("ShmemPmdMapped", ""),
    ("FilePmdMapped", ""),
    ("Shared_Hugetlb", ""),
    ("Private_Hugetlb", ""),
    ("Swap", ""),
    ("SwapPss", ""),
    ("Locked", "pss_locked"),
)


def gather(vma: vm_area_struct) -> MemSizeStats:
    """``smap_gather_stats()``: look at every page that an area shows."""
    mss = MemSizeStats()
    mm = vma.vm_mm
    # walk_page_test(): what only shows frames is not walked, be there private copies in it.
    shown = mm.mapped(vma.vm_start, vma.vm_end) if not vma.vm_flags & VM_PFNMAP else ()
    for address in shown:
        entry = mm.pte(address)
        page = vm_normal_page(vma, address, entry) if entry & PTE_SOFT_PRESENT else None
        if page is None:
            continue
        alone = page.compound_head._refcount == 1 or page.mapcount < 2
        share = (_PAGE << 12) // (1 if alone else page.mapcount)
        dirty = bool(entry & PTE_DIRTY) or page.test(PG_dirty)
        mss.resident += _PAGE
        mss.anonymous += _PAGE if is_anon(page) else 0
        mss.referenced += _PAGE if entry & PTE_ACCESSED or page.test(PG_referenced) else 0
        mss.pss += share
        mss.pss_dirty += share if dirty else 0
        mss.pss_locked += share if vma.vm_flags & VM_LOCKED else 0
        kind = f"{'private' if alone else 'shared'}_{'dirty' if dirty else 'clean'}"
        setattr(mss, kind, getattr(mss, kind) + _PAGE)
    return mss


def _smap(vma: vm_area_struct) -> Iterator[str]:
    # show_smap()
    mss = gather(vma)
    sizes = {field.name: getattr(mss, field.name) >> (12 if "pss" in field.name else 0) for field in fields(mss)}
    yield _header(vma)
    yield _kb("Size", vma.vm_end - vma.vm_start)
    yield _kb("KernelPageSize", _PAGE)
    yield _kb("MMUPageSize", _PAGE)
    for label, name in _LABELS:
        # The one field of hugetlbfs that is narrower, in the kernel too.
        yield _kb(label, sizes.get(name, 0), 7 if label == "Private_Hugetlb" else 8)
    yield "THPeligible:    0"
    words = [word for bit, word in MNEMONICS.items() if vma.vm_flags & bit]
    yield "VmFlags: " + "".join(f"{word} " for word in words)


def _kb(label: str, size: int, width: int = 8) -> str:
    return f"{label + ':':<16}{size >> 10:{width}d} kB" if width == 8 else f"{label}: {size >> 10:{width}d} kB"


# -- status ---------------------------------------------------------------------------------------


def status(process: Process) -> str:
    """``/proc/PID/status``, as far as it is about the process itself and its memory."""
    task = process.task
    lines = [f"Name:\t{task.comm}", "State:\tR (running)", f"Tgid:\t{task.pid}", f"Pid:\t{task.pid}"]
    return "".join(f"{line}\n" for line in [*lines, *_task_mem(process.mm)])


def _task_mem(mm: mm_struct) -> Iterator[str]:
    # task_mem()
    anon, file, shmem = (max(mm.rss[kind], 0) << 12 for kind in (MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES))
    rss = anon + file + shmem
    total = mm.total_vm << 12
    sizes = {
        "VmPeak": max(total, mm.hiwater_vm << 12),
        "VmSize": total,
        "VmLck": mm.locked_vm << 12,
        "VmPin": mm.pinned_vm << 12,
        "VmHWM": max(rss, mm.hiwater_rss << 12),
        "VmRSS": rss,
        "RssAnon": anon,
        "RssFile": file,
        "RssShmem": shmem,
        "VmData": _of(mm, VM_WRITE | VM_SHARED | VM_GROWSDOWN, VM_WRITE),
        "VmStk": _of(mm, VM_GROWSDOWN, VM_GROWSDOWN),
        "VmExe": 0,
        "VmLib": _of(mm, VM_EXEC | VM_WRITE | VM_GROWSDOWN, VM_EXEC),
        "VmPTE": len(mm.tables) << 12,
        "VmSwap": mm.rss[MM_SWAPENTS] << 12,
    }
    for name, size in sizes.items():
        yield f"{name}:\t{size >> 10:8d} kB"


def _of(mm: mm_struct, mask: int, flags: int) -> int:
    return sum(vma.vm_end - vma.vm_start for vma in mm.vmas.values() if vma.vm_flags & mask == flags)
