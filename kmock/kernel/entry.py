"""Into the kernel as a process, and back with nothing left over (``kernel/entry/common.c``)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.kernel.task import Task
    from kmock.machine import Kernel

# arch/x86/entry/syscalls/syscall_64.tbl
SYSCALLS = {
    "read": 0,
    "write": 1,
    "open": 2,
    "close": 3,
    "poll": 7,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "ioctl": 16,
    "pread64": 17,
    "pwrite64": 18,
    "mremap": 25,
    "msync": 26,
    "madvise": 28,
    "fork": 57,
    "fsync": 74,
    "ftruncate": 77,
    "mlock": 149,
    "munlock": 150,
}


@contextmanager
def as_task(k: Kernel, task: Task) -> Iterator[None]:
    """Run the block as ``task`` on the current CPU, with its own preemption count and interrupt flag.

    The scheduler knows the one that is put aside as ``displaced``, should the task sleep.
    """
    cpu = k.cpu
    caller = cpu.task
    if caller is task:
        yield
        return
    k.faults.pass_on(caller, task)
    task.displaced = caller, cpu.preempt_count, cpu.irqs_off
    cpu.task = task
    cpu.preempt_count, cpu.irqs_off = 0, False
    try:
        yield
    finally:
        k.faults.pass_on(task, caller)
        cpu = k.cpu
        if cpu.task is task and task.displaced is not None:
            cpu.task, cpu.preempt_count, cpu.irqs_off = task.displaced
            task.displaced = None
