"""The memory of a simulated process: its system calls about it, and its own loads and stores."""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING

from kmock.errors import KernelOops, UserSignal
from kmock.kernel.entry import as_task
from kmock.lang.ptr import Ptr
from kmock.mm import fault
from kmock.mm.access_vm import access_remote_vm
from kmock.mm.madvise import MS_SYNC, NEEDS_READ_LOCK, do_madvise, do_mlock, do_msync
from kmock.mm.mmap import PAGE_SIZE, do_brk, do_mmap, page_align
from kmock.mm.mprotect import do_mprotect
from kmock.mm.mremap import do_mremap
from kmock.mm.vm_mmap import vm_mmap_pgoff, vm_munmap

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.fs.file import File
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct

_RW = mmap.PROT_READ | mmap.PROT_WRITE
_FRESH = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10


class ProcessMemory:
    """What a process does with memory; the base of :class:`~kmock.user.process.Process`."""

    kernel: Kernel
    task: Task
    mm: mm_struct
    _buffers: int
    """Where the next buffer ends: they lie apart from what is mapped, each below a hole."""
    _call: Callable[..., int]
    _file: Callable[[int], File]
    _killed: Callable[[], None]

    # -- system calls -----------------------------------------------------------------------------

    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int = 0, addr: int = 0) -> int:
        """Map ``length`` bytes; return the address. ``fd`` is -1 for anonymous memory.

        ``addr`` is where it should be, or with ``MAP_FIXED`` (16) where it has to be.
        """
        return self._call("mmap", lambda: self._mmap(fd, length, prot, flags, offset, addr))

    def _mmap(self, fd: int, length: int, prot: int, flags: int, offset: int, addr: int) -> int:
        file = None if fd == -1 or flags & mmap.MAP_ANONYMOUS else self._file(fd)
        return vm_mmap_pgoff(self.mm, file, addr, length, prot, flags, offset)

    def munmap(self, address: int, length: int) -> None:
        """Unmap ``[address, address + length)``."""
        self._call("munmap", lambda: vm_munmap(self.mm, address, length))

    def mremap(self, address: int, old: int, new: int, flags: int = 0, to: int = 0) -> int:
        """Make a mapping larger or smaller; return where it is then. ``flags`` are 1 MAYMOVE, 2 FIXED, 4 DONTUNMAP."""
        return self._changing("mremap", "__do_sys_mremap", lambda: do_mremap(self.mm, address, old, new, flags, to))

    def mprotect(self, address: int, length: int, prot: int) -> None:
        """Give ``[address, address + length)`` another protection."""
        self._changing("mprotect", "do_mprotect_pkey", lambda: do_mprotect(self.mm, address, length, prot))

    def madvise(self, address: int, length: int, advice: int) -> None:
        """Say what is going to be done with memory; some advice is an order, ``MADV_DONTNEED`` for one."""
        read = advice in NEEDS_READ_LOCK
        self._changing("madvise", "do_madvise", lambda: do_madvise(self.mm, address, length, advice), read=read)

    def mlock(self, address: int, length: int) -> None:
        """Keep pages in memory."""
        self._changing("mlock", "do_mlock", lambda: do_mlock(self.mm, address, length, lock=True))
        with as_task(self.kernel, self.task):
            fault.populate(self.mm, address & -PAGE_SIZE, page_align(address + length))

    def munlock(self, address: int, length: int) -> None:
        """Undo :meth:`mlock`."""
        self._changing("munlock", "__do_sys_munlock", lambda: do_mlock(self.mm, address, length, lock=False))

    def msync(self, address: int, length: int, flags: int = MS_SYNC) -> None:
        """Have what was written to shared mappings of files written out."""
        self._call("msync", lambda: do_msync(self.mm, address, length, flags))

    def brk(self, address: int = 0) -> int:
        """Move the end of the heap; return where it is then."""
        return self._changing("brk", "__do_sys_brk", lambda: do_brk(self.mm, address))

    def _changing(self, name: str, how: str, body: Callable[[], int], *, read: bool = False) -> int:
        """Make a system call that works on the address space, under its lock."""

        def locked() -> int:
            with self.mm.locked(how, read=read):
                return body()

        return self._call(name, locked)

    # -- loads and stores -------------------------------------------------------------------------

    def load(self, address: int, n: int) -> bytes:
        """Read ``n`` bytes of its own memory; UserSignal with the first byte's address that can't be had."""
        address = int(address)
        parts = []
        with as_task(self.kernel, self.task):
            while n > 0:
                phys = self._reach(address, write=False)
                m = min(PAGE_SIZE - (address & PAGE_SIZE - 1), n)
                parts.append(self.kernel.uaccess.fetch(phys, m))
                address += m
                n -= m
        return b"".join(parts)

    def store(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Write to its own memory."""
        address = int(address)
        done = 0
        with as_task(self.kernel, self.task):
            while done < len(data):
                phys = self._reach(address, write=True)
                m = min(PAGE_SIZE - (address & PAGE_SIZE - 1), len(data) - done)
                self.kernel.uaccess.deposit(phys, data[done : done + m])
                address += m
                done += m

    def _reach(self, address: int, *, write: bool) -> int:
        phys = self.mm.present(address, write=write)
        if phys is not None:
            return phys
        found = "SIGSEGV" if address >= self.kernel.layout.task_size else self._fault(address, write=write)
        if isinstance(found, str):
            raise UserSignal(found, address)
        return found

    def _fault(self, address: int, *, write: bool) -> int | str:
        try:
            return fault.reach(self.mm, address, write=write, user=True)
        except KernelOops:
            self._killed()
            raise

    # -- as a debugger sees it --------------------------------------------------------------------

    def peek(self, address: int, n: int) -> bytes:
        """Read ``n`` bytes as a debugger does, by ``/proc/PID/mem``; OSError EIO where that can't be."""
        data = access_remote_vm(self.mm, int(address), n)
        if not data:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def poke(self, address: int, data: bytes) -> int:
        """Write as a debugger does, past the protection where the memory is the process' own; how much was written."""
        done = len(access_remote_vm(self.mm, int(address), len(data), data))
        if not done:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return done

    # -- buffers ----------------------------------------------------------------------------------

    def buffer(self, data_or_size: bytes | bytearray | memoryview | int) -> Ptr:
        """Return a ``__user`` pointer to fresh memory, of that size or holding those bytes.

        It ends at an unmapped page, so that a copy past its end fails at exactly the first byte too many.
        """
        size = data_or_size if isinstance(data_or_size, int) else len(data_or_size)
        end = self._buffer_area(size)
        start = Ptr(end - size)
        # All of its pages are there, so that it can be used where page faults are off.
        self.store(start, bytes(data_or_size))  # of a number, that many zeroes
        return start

    def _buffer_area(self, size: int) -> int:
        """Map room for ``size`` bytes below the buffers that there are; return its end."""
        length = page_align(max(size, 1))
        end = self._buffers
        self._buffers = end - length - PAGE_SIZE
        err = do_mmap(self.mm, None, end - length, length, _RW, _FRESH, 0)
        if err < 0:
            raise OSError(-err, f"buffer of {size} bytes")
        return end
