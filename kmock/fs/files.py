"""The files of ``/proc``, ``/sys`` and debugfs that belong to the simulated subsystems.

A subsystem's files are attached when a path near them is first asked for: :data:`PROVIDERS` says who has them.
An attaching function gets the :class:`KernelFiles` and adds what it has::

    def attach(files: KernelFiles) -> None:
        files.add("/proc/slabinfo", read=partial(slabinfo, files.kernel))
        files.add("/proc/{tid}/fail-nth", read=fail_nth, write=set_fail_nth)    # called with tid="101"

Reading gives the text of the whole file. Writing hands over the text without the newline that ``echo`` adds; a
handler refuses it with OSError, or by returning a negative errno as a kernel function does.
"""

from __future__ import annotations

import errno
import os
import re
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel

# Where files come from: the beginning of their paths, then the module and the function that attaches them.
PROVIDERS: tuple[tuple[str, str, str], ...] = (
    ("/sys/kernel/debug/fail", "kmock.fs.fault", "attach_debugfs"),
    ("/sys/kernel/debug/kmemleak", "kmock.sanitizers.kmemleak", "attach"),
    ("/sys/devices/system/memory/", "kmock.mm.memory_hotplug", "attach"),
    ("/sys/kernel/debug/memblock/", "kmock.mm.boot_memory", "attach"),
    ("/sys/kernel/debug/dma-api/", "kmock.dma.files", "attach"),
    ("/proc/", "kmock.fs.fault", "attach_proc"),
    ("/proc/", "kmock.fs.proc", "attach"),
    ("/proc/", "kmock.fs.devices", "attach_proc"),
    ("/proc/io", "kmock.fs.proc", "attach_resources"),
    ("/sys/module/", "kmock.fs.devices", "attach_sysfs"),
    ("/proc/vmallocinfo", "kmock.mm.vmallocinfo", "attach"),
    ("/sys/bus/", "kmock.drivers.bus", "attach"),
    ("/sys/kernel/debug/devices_deferred", "kmock.drivers.bus", "attach_debugfs"),
    ("/proc/lockdep", "kmock.sanitizers.lockdep_proc", "attach"),
    ("/proc/sys/vm/", "kmock.fs.proc", "attach_sysctl"),
    ("/sys/kernel/debug/kmemleak", "kmock.sanitizers.kmemleak", "attach"),
)


class File(NamedTuple):
    """One file, or a family of files whose path has ``{names}`` in it."""

    path: str
    read: Callable[..., str] | None
    write: Callable[..., int | None] | None


class KernelFiles:
    """What ``cat`` and ``echo`` reach on one machine."""

    __slots__ = ("_attached", "_families", "_files", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._files: dict[str, File] = {}
        self._families: list[tuple[re.Pattern[str], File]] = []
        self._attached: set[tuple[str, str]] = set()

    def add(
        self,
        path: str,
        read: Callable[..., str] | None = None,
        write: Callable[..., int | None] | None = None,
    ) -> None:
        """Add the file at ``path``; each ``{name}`` in it matches one component and is passed on by keyword."""
        file = File(path, read, write)
        if "{" in path:
            named = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
            self._families.append((re.compile(named), file))
        else:
            self._files[path] = file

    def read(self, path: str) -> str:
        """Return the text of a file; OSError (ENOENT, EACCES, or what the file itself says) where that can't be."""
        file, names = self._find(path)
        if file.read is None:
            raise OSError(errno.EACCES, f"{os.strerror(errno.EACCES)}: nobody may read it", path)
        return file.read(**names)

    def write(self, path: str, text: str) -> None:
        """Write to a file as ``echo text > path`` does; OSError with the errno the kernel gives."""
        file, names = self._find(path)
        if file.write is None:
            raise OSError(errno.EACCES, f"{os.strerror(errno.EACCES)}: nobody may write to it", path)
        try:
            result = file.write(text.removesuffix("\n"), **names)
        except OSError as error:
            raise OSError(error.errno, error.strerror or os.strerror(error.errno or 0), path) from None
        if result is not None and result < 0:
            raise OSError(-result, os.strerror(-result), path)

    def paths(self) -> list[str]:
        """Return the paths of all files there are, sorted; families by their pattern."""
        for provider in PROVIDERS:
            self._attach(*provider)
        return sorted([*self._files, *(file.path for _, file in self._families), *self.kernel.sysfs.root.walk()])

    def _find(self, path: str) -> tuple[File, dict[str, str]]:
        for provider in PROVIDERS:
            if path.startswith(provider[0]):
                self._attach(*provider)
        file = self._files.get(path)
        if file is not None:
            return file, {}
        for pattern, family in self._families:
            if found := pattern.fullmatch(path):
                return family, found.groupdict()
        if path.startswith("/sys/") and (here := self.kernel.sysfs.file(path)) is not None:
            return here, {}
        near = get_close_matches(path, self.paths(), n=1, cutoff=0.5)
        hint = f": did you mean {near[0]}?" if near else ""
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT) + hint, path)

    def _attach(self, prefix: str, module: str, function: str) -> None:
        if (module, function) not in self._attached:
            self._attached.add((module, function))
            getattr(import_module(module), function)(self)
