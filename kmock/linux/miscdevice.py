"""``<linux/miscdevice.h>``: devices that need one minor number and no more."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kmock.fs.char_dev import MISC_MAJOR
from kmock.fs.misc import MISC_DYNAMIC_MINOR, miscdevice
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.0", sleeps=Sleeps.ALWAYS, undo="misc_deregister", fails=True)
def misc_register(k: Kernel, misc: miscdevice) -> int:
    """Make the device known as ``/dev/<name>``; 0, or -EBUSY where its minor is taken."""
    return k.modules.outcome("a misc device", k.misc.register(misc))


@api(since="2.0", sleeps=Sleeps.ALWAYS)
def misc_deregister(k: Kernel, misc: miscdevice) -> None:
    """Take it back."""
    k.misc.deregister(misc)


def module_misc_device(misc: miscdevice) -> None:
    """Make the calling module one that registers ``misc`` when it is loaded and takes it back when it is unloaded."""
    names = sys._getframe(1).f_globals
    names["init_module"] = lambda: misc_register(misc)
    names["cleanup_module"] = lambda: misc_deregister(misc)


__getattr__ = header_getattr(__name__)
__all__ = ["MISC_DYNAMIC_MINOR", "MISC_MAJOR", "misc_deregister", "misc_register", "miscdevice", "module_misc_device"]
