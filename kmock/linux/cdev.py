"""``<linux/cdev.h>``: character devices of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.fs.char_dev import cdev
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.kdev_t import MAJOR, MINOR, MKDEV

if TYPE_CHECKING:
    from kmock.fs.file import file_operations
    from kmock.machine import Kernel


@api(since="2.6.0")
def cdev_init(k: Kernel, cdev: cdev, fops: file_operations) -> None:
    """Initialise a cdev that is embedded in a structure of the driver's."""
    k.chrdevs.init(cdev, fops)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="cdev_del")
def cdev_alloc(k: Kernel) -> cdev:
    """Return a cdev that stands alone; the driver sets its ``ops`` and ``owner``."""
    return cdev()


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="cdev_del", fails=True)
def cdev_add(k: Kernel, p: cdev, dev: int, count: int) -> int:
    """Let ``p`` answer for ``count`` devices from ``dev`` on, at once; 0 or -errno."""
    return k.modules.outcome("a cdev", k.chrdevs.add(p, dev, count))


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def cdev_del(k: Kernel, p: cdev) -> None:
    """Let ``p`` answer no more opens; files that are open go on using it."""
    k.chrdevs.delete(p)


__getattr__ = header_getattr(__name__, not_built={"cdev_device_add", "cdev_device_del", "cdev_set_parent"})
__all__ = ["MAJOR", "MINOR", "MKDEV", "cdev", "cdev_add", "cdev_alloc", "cdev_del", "cdev_init"]
