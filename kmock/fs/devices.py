"""What ``/proc`` and ``/sys`` tell of devices and modules (``fs/proc/devices.c``, ``kernel/module/procfs.c``)."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING

from kmock.kernel.module import STATE_NAMES, Module
from kmock.kernel.module_params import Parameter, set_parameter, shown

if TYPE_CHECKING:
    from kmock.fs.files import KernelFiles
    from kmock.machine import Kernel

MODULE_SIZE = 16384
"""Bytes that every module is said to take: a Python module has no such number."""
READABLE, WRITABLE = 0o444, 0o222


def attach_proc(files: KernelFiles) -> None:
    """Add ``/proc/devices``, ``/proc/misc`` and ``/proc/modules``."""
    files.add("/proc/devices", read=partial(devices, files.kernel))
    files.add("/proc/misc", read=partial(misc, files.kernel))
    files.add("/proc/modules", read=partial(modules, files.kernel))


def attach_sysfs(files: KernelFiles) -> None:
    """Add ``/sys/module/<module>/refcnt`` and the parameters."""
    k = files.kernel
    files.add("/sys/module/{module}/refcnt", read=lambda module: f"{_module(k, module).refcnt}\n")
    files.add(
        "/sys/module/{module}/parameters/{name}",
        read=partial(read_parameter, k),
        write=lambda text, module, name: write_parameter(k, text, module, name),
    )


def devices(k: Kernel) -> str:
    """The majors that somebody holds."""
    rows = {region.major: f"{region.major:3d} {region.name}\n" for region in reversed(k.chrdevs.regions)}
    return "Character devices:\n" + "".join(rows[major] for major in sorted(rows)) + "\nBlock devices:\n"


def misc(k: Kernel) -> str:
    """The minors of major 10, the youngest first."""
    return "".join(f"{m.minor:3d} {m.name}\n" for m in reversed(k.misc.registered))


def modules(k: Kernel) -> str:
    """The loaded modules, the youngest first."""
    return "".join(
        f"{m.name} {MODULE_SIZE} {m.refcnt} - {STATE_NAMES[m.state]} {k.layout.modules + i * MODULE_SIZE:#018x} (O)\n"
        for i, m in reversed(list(enumerate(k.modules.loaded.values())))
    )


def read_parameter(k: Kernel, module: str, name: str) -> str:
    """The value of a module's parameter."""
    found, parameter = _parameter(k, module, name, READABLE)
    return f"{shown(parameter, vars(found.image.module)[parameter.variable])}\n"


def write_parameter(k: Kernel, text: str, module: str, name: str) -> None:
    """Set a module's parameter, which the driver may notice or not."""
    found, parameter = _parameter(k, module, name, WRITABLE)
    set_parameter(k.log, module, found.image, parameter, text)


def _module(k: Kernel, name: str) -> Module:
    found = k.modules.find(name)
    if found is None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return found


def _parameter(k: Kernel, module: str, name: str, mode: int) -> tuple[Module, Parameter]:
    found = _module(k, module)
    parameter = found.image.params.get(name)
    if parameter is None or not parameter.perm:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if not parameter.perm & mode:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), name)
    return found, parameter
