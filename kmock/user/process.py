"""A simulated user process: system calls from the outside, loads and stores of its own memory.

Every system call runs in the kernel as this process' task, is looked at when it returns, and raises OSError
with the kernel's errno where it fails. What the process does with its own memory raises
:class:`~kmock.errors.UserSignal` where the processor would have sent it a signal.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from signal import SIGSEGV
from typing import TYPE_CHECKING

from kmock.errors import KernelOops, ReportedError
from kmock.fs.file import File, file_operations, poll_table
from kmock.fs.read_write import READ, WRITE, llseek, opened, transfer
from kmock.kernel.balance import check_syscall_exit
from kmock.kernel.entry import SYSCALLS, as_task
from kmock.kernel.task import TASK_DEAD, Task
from kmock.mm.fork import dup_mm, mmput
from kmock.mm.mm_struct import mm_struct
from kmock.mm.mmap import do_munmap
from kmock.user.memory import ProcessMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

PAGE_SIZE = 4096
RLIMIT_NOFILE = 1024
FIRST_FD = 3
"""0, 1 and 2 are the terminal, as usual."""
ENOIOCTLCMD = 515
RESTARTS = {512, 513, 514, 516}
"""ERESTARTSYS and its like: what a driver returns when a signal interrupts it; no process ever sees them."""
DEFAULT_POLLMASK = 0x145
"""EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM: what a file without poll answers."""

_NO_OPERATIONS = file_operations()


class Process(ProcessMemory):
    """A process. ``kernel.user()`` makes one."""

    def __init__(self, kernel: Kernel, comm: str = "user", mm: mm_struct | None = None) -> None:
        self.kernel = kernel
        self.task = Task(kernel.new_pid(), comm)
        self.mm = self.task.mm = mm if mm is not None else mm_struct(kernel)
        self._buffers = self.mm.mmap_base >> 1 & -PAGE_SIZE
        self.files: dict[int, File] = {}
        self._scratch: Ptr | None = None
        self._scratch_size = 0
        kernel.processes.append(self)
        # The test is what this process does: a copy to its memory from the test's own code reaches it.
        caller = kernel.current
        self._adopted_by = caller if caller.mm is None else None
        if self._adopted_by is not None:
            caller.mm = self.mm

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.task.pid

    def __repr__(self) -> str:
        return f"<process {self.task!r}>"

    # -- files ------------------------------------------------------------------------------------

    def open(self, path: str, flags: int = os.O_RDWR) -> int:
        """Open a device node or a file; return the descriptor. ``O_CREAT`` makes a file below ``/mnt``."""
        fd = next(n for n in range(FIRST_FD, RLIMIT_NOFILE + 1) if n not in self.files)
        if fd == RLIMIT_NOFILE:
            raise _error(errno.EMFILE, path)
        self._call("open", lambda: self._open(path, flags, fd), about=path)
        return fd

    def _open(self, path: str, flags: int, fd: int) -> int:
        k = self.kernel
        inode = k.devtmpfs.lookup(path)
        if inode is None:
            return self._open_file(path, flags, fd)
        file = File(path, inode, flags, _NO_OPERATIONS)
        before = k.seq
        result = k.chrdevs.open(inode, file)
        if result:
            file.private_data = None
            return result
        file.open_seqs = before, k.seq
        opened(file)
        self.files[fd] = file
        return 0

    def _open_file(self, path: str, flags: int, fd: int) -> int:
        fs = self.kernel.diskfs
        known = path in fs.inodes
        inode = fs.lookup(path, flags)
        if inode is None:
            return -errno.ENOENT
        if known and flags & os.O_CREAT and flags & os.O_EXCL:
            return -errno.EEXIST
        file = File(path, inode, flags, inode.i_fop)
        opened(file)
        if flags & os.O_TRUNC:
            fs.truncate(inode, 0)
        self.files[fd] = file
        return 0

    def close(self, fd: int) -> None:
        """Close a descriptor; the file's last one releases it. A process that was killed has closed them all."""
        if self.task.state == TASK_DEAD:
            return
        file = self._file(fd)
        del self.files[fd]
        self._call("close", lambda: self._close(file), about=file.path)

    def _close(self, file: File) -> int:
        result = 0
        if file.f_op.flush is not None:
            result = int(file.f_op.flush(file, None) or 0)
        self.kernel.chrdevs.fput(file)
        return result

    def dup(self, fd: int) -> int:
        """Return a second descriptor of the same file."""
        file = self._file(fd)
        file.f_count += 1
        new = next(n for n in range(FIRST_FD, RLIMIT_NOFILE) if n not in self.files)
        self.files[new] = file
        return new

    def read(self, fd: int, n: int) -> bytes:
        """Read up to ``n`` bytes at the file's position."""
        return self._read("read", fd, n, None)

    def pread(self, fd: int, n: int, offset: int) -> bytes:
        """Read up to ``n`` bytes at ``offset``."""
        return self._read("pread64", fd, n, offset)

    def write(self, fd: int, data: bytes) -> int:
        """Write at the file's position; return how many bytes the driver took."""
        return self._write("write", fd, data, None)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Write at ``offset``; return how many bytes the driver took."""
        return self._write("pwrite64", fd, data, offset)

    def _read(self, name: str, fd: int, n: int, offset: int | None) -> bytes:
        file = self._file(fd)
        buffer = self._scratch_of(n)
        self.store(buffer, bytes(n))
        done = self._call(name, lambda: transfer(file, READ, buffer, n, offset), about=file.path, count=n)
        return self.load(buffer, min(done, n))

    def _write(self, name: str, fd: int, data: bytes, offset: int | None) -> int:
        file = self._file(fd)
        n = len(data)
        buffer = self._scratch_of(n)
        self.store(buffer, data)
        return self._call(name, lambda: transfer(file, WRITE, buffer, n, offset), about=file.path, count=n)

    def lseek(self, fd: int, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the file's position; return the new one."""
        file = self._file(fd)
        return self._call("lseek", lambda: llseek(file, offset, whence), about=file.path)

    def ioctl(self, fd: int, cmd: int, arg: int = 0) -> int:
        """Have the driver do something special; ``arg`` is a number or a pointer from :meth:`buffer`."""
        file = self._file(fd)
        return self._call("ioctl", lambda: self._ioctl(file, cmd, arg), about=file.path, given=arg)

    def _ioctl(self, file: File, cmd: int, arg: int) -> int:
        if file.f_op.unlocked_ioctl is not None:
            result = file.f_op.unlocked_ioctl(file, cmd, arg)
        elif file.f_op.ioctl is not None:
            result = file.f_op.ioctl(file.f_inode, file, cmd, arg)
        else:
            result = -errno.ENOTTY
        return -errno.ENOTTY if result == -ENOIOCTLCMD else result or 0

    def poll(self, fd: int) -> int:
        """Ask whether the file is ready, without waiting; return the mask of ``EPOLLIN`` and its like."""
        file = self._file(fd)
        ask = file.f_op.poll
        return self._call("poll", lambda: DEFAULT_POLLMASK if ask is None else ask(file, poll_table()), about=file.path)

    def fsync(self, fd: int) -> None:
        """Have the driver write out what it holds back."""
        file = self._file(fd)
        sync = file.f_op.fsync
        self._call("fsync", lambda: -errno.EINVAL if sync is None else sync(file, 0, (1 << 63) - 1, 0), about=file.path)

    def ftruncate(self, fd: int, size: int) -> None:
        """Give a file another size: what lies beyond is gone, what is new is zeroes."""
        file = self._file(fd)
        self._call("ftruncate", lambda: self.kernel.diskfs.ftruncate(file, size), about=file.path)

    def _scratch_of(self, n: int) -> Ptr:
        # What read() and write() pass to the kernel; ends at a hole, as every buffer does.
        if self._scratch is None or self._scratch_size < n:
            if self._scratch is not None:
                do_munmap(self.mm, self._scratch - self._scratch_size, self._scratch_size)
            self._scratch_size = max((n + PAGE_SIZE - 1) & -PAGE_SIZE, PAGE_SIZE)
            self._scratch = self.buffer(self._scratch_size) + self._scratch_size
        return self._scratch - n

    # -- its child, and its end -------------------------------------------------------------------

    def fork(self) -> Process:
        """Make a child: it has the same files, and memory that begins as a copy of this process' memory."""
        made: list[Process] = []
        self._call("fork", lambda: self._fork(made))
        return made[0]

    def _fork(self, made: list[Process]) -> int:
        mm = dup_mm(self.mm)
        if isinstance(mm, int):
            return mm
        child = Process(self.kernel, self.task.comm, mm)
        child._buffers, child._scratch, child._scratch_size = self._buffers, self._scratch, self._scratch_size
        for fd, file in self.files.items():
            file.f_count += 1
            child.files[fd] = file
        made.append(child)
        return child.pid

    def exit(self, code: int = 0) -> None:
        """End: give the memory back, close every descriptor. A second call does nothing."""
        if self.task.state == TASK_DEAD:
            return
        try:
            self._exit_mm()
            for fd in list(self.files):
                self.close(fd)
        finally:
            self._gone(code)

    def _killed(self) -> None:
        """The kernel oopsed while it worked for the process: ``make_task_dead()``."""
        with suppress(ReportedError):
            self._exit_mm()
        files = list(self.files.values())
        self.files.clear()
        for file in files:
            # A driver that waits for a lock of the dead would wait for ever.
            if self.task.held:
                self.kernel.chrdevs.release(file)
            else:
                with suppress(ReportedError):
                    self._close(file)
        self.task.held.clear()
        self._gone(SIGSEGV)

    def _exit_mm(self) -> None:
        """``exit_mm()``: the memory goes first; what closes files after that has no process to copy from or to."""
        if self.task.mm is None:
            return
        if self._adopted_by is not None and self._adopted_by.mm is self.mm:
            self._adopted_by.mm = None
        with as_task(self.kernel, self.task):
            try:
                mmput(self.mm)
            finally:
                self.task.mm = None

    def _gone(self, code: int) -> None:
        self.task.state = TASK_DEAD
        self.task.exit_code = code
        if self in self.kernel.processes:
            self.kernel.processes.remove(self)

    # -- system calls -----------------------------------------------------------------------------

    def _alive(self) -> None:
        if self.task.state == TASK_DEAD:
            raise _error(errno.ESRCH, f"process {self.pid} has ended")

    def _file(self, fd: int) -> File:
        self._alive()
        file = self.files.get(fd)
        if file is None:
            raise _error(errno.EBADF, f"descriptor {fd}")
        return file

    def _call(
        self, name: str, body: Callable[[], int | None], *, about: str = "", count: int | None = None, given: int = 0
    ) -> int:
        """Make a system call; ``count`` is what it is to read or write, ``given`` another number of the process'."""
        self._alive()
        k = self.kernel
        checks = k.uaccess.checks
        before = k.seq
        with as_task(k, self.task):
            checks.begin(self.task, count or 0, given)
            try:
                result = body() or 0
                checks.end(self.task, result, count)
                check_syscall_exit(k, SYSCALLS[name])
            except KernelOops:
                self._killed()
                raise
            finally:
                checks.calls.pop(self.task, None)
        if -4096 < result < 0:
            k.leftovers.call_failed(self.task, before)
            raise _error(errno.EINTR if -result in RESTARTS else -int(result), about)
        return int(result)


def _error(number: int, about: str) -> OSError:
    return OSError(number, os.strerror(number), about or None)
