"""The files of fault injection (``lib/fault-inject.c``, ``fs/proc/base.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kmock.fault.attr import CLASSES
from kmock.fs.debugfs import (
    debugfs_create_atomic_t,
    debugfs_create_bool,
    debugfs_create_u32,
    debugfs_create_ul,
    kstrtoll,
)

if TYPE_CHECKING:
    from kmock.fs.files import KernelFiles
    from kmock.kernel.task import Task

# Files by name, each made by the function that the kernel makes it with.
_COMMON = {
    "probability": debugfs_create_ul,
    "interval": debugfs_create_ul,
    "times": debugfs_create_atomic_t,
    "space": debugfs_create_atomic_t,
    "verbose": debugfs_create_ul,
    "verbose_ratelimit_interval_ms": debugfs_create_u32,
    "verbose_ratelimit_burst": debugfs_create_u32,
    "task-filter": debugfs_create_bool,
}
_OWN = {
    "failslab": {"ignore-gfp-wait": debugfs_create_bool, "cache-filter": debugfs_create_bool},
    "fail_page_alloc": {
        "ignore-gfp-wait": debugfs_create_bool,
        "ignore-gfp-highmem": debugfs_create_bool,
        "min-order": debugfs_create_u32,
    },
}
# The two places in which a task has a directory.
_TASKS = ("/proc/{pid}", "/proc/{pid}/task/{tid}")


def attach_debugfs(files: KernelFiles) -> None:
    """Add ``/sys/kernel/debug/failslab/probability`` and the like."""
    faults = files.kernel.faults
    for name in CLASSES:
        attr = faults.attr(name)
        for file, create in (_COMMON | _OWN.get(name, {})).items():
            create(files, f"/sys/kernel/debug/{name}/{file}", attr, file.replace("-", "_"), faults.update)


def attach_proc(files: KernelFiles) -> None:
    """Add ``make-it-fail`` and ``fail-nth`` of every task."""

    def set_make_it_fail(text: str, pid: str, tid: str = "") -> None:
        value = kstrtoll(text, -1, (1 << 31) - 1)
        if value not in {0, 1}:
            raise OSError(errno.EINVAL, f"{text!r} is neither 0 nor 1")
        _task(files, tid or pid).make_it_fail = bool(value)

    def set_fail_nth(text: str, pid: str, tid: str = "") -> None:
        files.kernel.faults.arm(_task(files, tid or pid), kstrtoll(text, 0, (1 << 32) - 1))

    for directory in _TASKS:
        files.add(
            f"{directory}/make-it-fail",
            lambda pid, tid="": f"{int(_task(files, tid or pid).make_it_fail)}\n",
            set_make_it_fail,
        )
        files.add(f"{directory}/fail-nth", lambda pid, tid="": f"{_task(files, tid or pid).fail_nth}\n", set_fail_nth)


def _task(files: KernelFiles, name: str) -> Task:
    """Return the task that a directory of /proc belongs to; OSError ENOENT where there is none."""
    k = files.kernel
    if name in {"self", "thread-self"}:
        return k.current
    for cpu in k.cpus.made:
        if str(cpu.task.pid) == name:
            return cpu.task
    raise OSError(errno.ENOENT, f"there is no task {name}")
