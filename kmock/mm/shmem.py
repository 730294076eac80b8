"""Shared anonymous memory: a file without a name that holds the pages (``mm/shmem.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.mm.address_space import address_space
from kmock.mm.cow import user_page
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_HIGHUSER_MOVABLE
from kmock.mm.page import PG_swapbacked, PG_uptodate
from kmock.mm.rmap import put_user_page
from kmock.mm.vm_fault import VM_FAULT_LOCKED, VM_FAULT_OOM, vm_fault
from kmock.mm.vma import vm_operations_struct

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct


class ShmemFile:
    """What ``shmem_zero_setup()`` puts behind an area; lives as long as an area shows it."""

    path = "/dev/zero (deleted)"
    f_mode = 3
    f_flags = 2

    def __init__(self, shmem: Shmem, ino: int) -> None:
        self.shmem = shmem
        self.f_count = 1
        self.f_op: Any = None
        self.private_data: Any = None
        self.ino = ino
        self.f_mapping = address_space(self)
        self.pages: dict[int, Page] = {}

    def released(self) -> None:
        """The last area is gone: so is the memory."""
        for page in self.pages.values():
            page.mapping = None
            put_user_page(self.shmem.kernel, page)
        self.pages.clear()


class Shmem:
    """The shared anonymous memory of one machine."""

    __slots__ = ("_made", "kernel", "vm_ops")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._made = 0
        self.vm_ops = vm_operations_struct(fault=self._fault)

    def zero_setup(self, vma: vm_area_struct) -> None:
        """``shmem_zero_setup()``: put fresh memory behind a shared anonymous area."""
        self._made += 1
        vma.vm_file = ShmemFile(self, 1024 + self._made)
        vma.vm_ops = self.vm_ops

    def _fault(self, vmf: vm_fault) -> int:
        file: ShmemFile = vmf.vma.vm_file
        page = file.pages.get(vmf.pgoff)
        if page is None:
            page = user_page(self.kernel, GFP_HIGHUSER_MOVABLE | GFP_ZERO)
            if page is None:
                return VM_FAULT_OOM
            page.mapping = file.f_mapping
            page.index = vmf.pgoff
            page.flags |= 1 << PG_uptodate | 1 << PG_swapbacked
            file.pages[vmf.pgoff] = page
        self.kernel.page_alloc.locks.lock(page)
        page._refcount += 1
        vmf.page = page
        return VM_FAULT_LOCKED
