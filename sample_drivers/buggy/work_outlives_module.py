"""A poller whose work item is still queued when the module goes.

Wrong: ``poller_exit`` takes the device away and forgets the work, which runs code that is not there any more.
Right: ``cancel_delayed_work_sync`` before returning.
Expected: ``work-at-exit``, at the ``schedule_delayed_work`` in ``poller_write``.
"""

from kmock.linux.fs import file_operations
from kmock.linux.jiffies import HZ
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.workqueue import INIT_DELAYED_WORK, delayed_work, schedule_delayed_work

MODULE_LICENSE("GPL")

poll = delayed_work()


def poller_look(work):
    pass


def poller_write(filp, buf, count, pos):
    schedule_delayed_work(poll, 10 * HZ)
    return count


poller = miscdevice(name="poller", fops=file_operations(owner=THIS_MODULE, write=poller_write))


def poller_init():
    INIT_DELAYED_WORK(poll, poller_look)
    return misc_register(poller)


def poller_exit():
    misc_deregister(poller)


module_init(poller_init)
module_exit(poller_exit)
