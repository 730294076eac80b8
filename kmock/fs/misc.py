"""Devices that share major 10 (``drivers/char/misc.c``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmock.fs.char_dev import MINORBITS, MISC_MAJOR, MKDEV, cdev
from kmock.fs.file import file_operations
from kmock.sanitizers.leftovers import Registration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.fs.file import File, Inode
    from kmock.machine import Kernel
    from kmock.stack import Stack

MISC_DYNAMIC_MINOR = 255
DYNAMIC_MINORS = 128
SIZEOF_DEVICE = 760


class miscdevice:
    """``struct miscdevice``: a minor number, a name for ``/dev``, and what it does for its files."""

    def __init__(
        self,
        *,
        minor: int = MISC_DYNAMIC_MINOR,
        name: str = "",
        fops: file_operations | None = None,
        parent: Any = None,
        nodename: str | None = None,
        mode: int = 0,
        groups: Any = None,
    ) -> None:
        self.minor = minor
        self.name = name
        self.fops = fops
        self.parent = parent
        self.nodename = nodename
        self.mode = mode
        self.groups = groups
        self.this_device: Any = None

    def __repr__(self) -> str:
        return f"<miscdevice {self.name}>"


@dataclass(eq=False, slots=True)
class Registered:
    """A device on the list, and where it was registered."""

    misc: miscdevice
    stack: Stack

    @property
    def what(self) -> str:
        """``misc device "foo"``."""
        return f'misc device "{self.misc.name}"'


class MiscDevices:
    """The misc devices of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.registered: dict[miscdevice, Registered] = {}
        entry = cdev()
        entry.ops = file_operations(open=self._open)
        kernel.chrdevs.add(entry, MKDEV(MISC_MAJOR, 0), 256, stack=())

    def register(self, misc: miscdevice) -> int:
        """``misc_register()``: 0, -EBUSY where the minor is taken or none is free, or -ENOMEM."""
        k = self.kernel
        stack = k.capture()
        if (before := self.registered.get(misc)) is not None:
            k.report(
                "registration-twice",
                f"BUG: kmock: registration-twice in {k.symbol(stack)}",
                lines=[f"{before.what} is registered again without misc_deregister() in between"],
                stacks={"access": stack, "first registered": before.stack},
                key=(misc, "registration"),
            )
            return -errno.EBUSY
        taken = {m.minor for m in self.registered}
        wanted = misc.minor
        if misc.minor == MISC_DYNAMIC_MINOR:
            free = next((minor for minor in range(DYNAMIC_MINORS - 1, -1, -1) if minor not in taken), None)
            if free is None:
                return -errno.EBUSY
            misc.minor = free
        elif misc.minor in taken:
            return -errno.EBUSY
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_DEVICE):
            misc.minor = wanted
            return -errno.ENOMEM
        self.registered[misc] = Registered(misc, stack)
        k.devtmpfs.mknod(misc.nodename or misc.name, MKDEV(MISC_MAJOR, misc.minor), misc.mode or 0o600)
        return 0

    def deregister(self, misc: miscdevice) -> None:
        """``misc_deregister()``."""
        if self.registered.pop(misc, None) is None:
            self.kernel.warn("registration-twice", "drivers/char/misc.c:247", "misc_deregister", key=misc)
            return
        self.kernel.devtmpfs.forget(MKDEV(MISC_MAJOR, misc.minor), 1)

    def registrations(self) -> Iterator[Registration]:
        """What drivers have registered here."""
        return (Registration(r.what, r.stack, "misc_deregister") for r in self.registered.values())

    def _open(self, inode: Inode, file: File) -> int:
        minor = inode.i_rdev & ((1 << MINORBITS) - 1)
        misc = next((m for m in self.registered if m.minor == minor), None)
        if misc is None or misc.fops is None or not self.kernel.modules.try_get(misc.fops.owner):
            return -errno.ENODEV
        file.f_op = misc.fops
        # Drivers find their device from here; those with an open() of their own may overwrite it.
        file.private_data = misc
        result: int | None = misc.fops.open(inode, file) if misc.fops.open is not None else 0
        return int(result or 0)
