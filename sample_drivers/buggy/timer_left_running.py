"""A watchdog whose timer lives in an object that is freed while the timer runs.

Wrong: ``watchdog_release`` frees the object. The timer fires a second later, in memory of somebody else's.
Right: ``del_timer_sync`` before the ``kfree``.
Expected: ``free-active-object``, at the ``kfree`` in ``watchdog_release``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.jiffies import HZ, jiffies
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.timer import mod_timer, timer_list, timer_setup
from kmock.linux.types import Struct, addressof, sizeof

MODULE_LICENSE("GPL")


class Watchdog(Struct):
    timer: timer_list


def watchdog_bite(timer):
    pass


def watchdog_open(inode, filp):
    memory = kzalloc(sizeof(Watchdog), GFP_KERNEL)
    if not memory:
        return -ENOMEM
    filp.private_data = dog = Watchdog.at(memory)
    timer_setup(dog.timer, watchdog_bite, 0)
    mod_timer(dog.timer, jiffies() + HZ)
    return 0


def watchdog_release(inode, filp):
    kfree(addressof(filp.private_data))
    return 0


watchdog = miscdevice(
    name="watchdog", fops=file_operations(owner=THIS_MODULE, open=watchdog_open, release=watchdog_release)
)


def watchdog_init():
    return misc_register(watchdog)


def watchdog_exit():
    misc_deregister(watchdog)


module_init(watchdog_init)
module_exit(watchdog_exit)
