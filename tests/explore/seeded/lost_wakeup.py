"""A reader tests for data, then sets its state and sleeps; the writer may wake it in between, when it does not sleep yet."""

from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.sched import TASK_INTERRUPTIBLE, TASK_RUNNING, current, schedule, set_current_state, wake_up_process
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

FINDS = {"lost-wakeup"}


class Dev(Struct):
    ready: u32


def read(dev, reader, *, mended):
    reader.append(current())
    if mended:
        set_current_state(TASK_INTERRUPTIBLE)
    while not READ_ONCE(dev.ready):
        set_current_state(TASK_INTERRUPTIBLE)
        if mended and READ_ONCE(dev.ready):
            break
        schedule()
    set_current_state(TASK_RUNNING)


def write(dev, reader):
    WRITE_ONCE(dev, "ready", 1)
    if reader:
        wake_up_process(reader[0])


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    reader = []
    k.spawn(lambda: read(dev, reader, mended=mended), cpu=0, name="reader")
    k.spawn(write, dev, reader, cpu=1)
    k.join()
    kfree(dev)
