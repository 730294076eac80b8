"""A reader of an RCU pointer that does not say that it reads: the updater frees the object under its hands."""

from kmock.linux.rcupdate import (
    rcu_access_pointer,
    rcu_assign_pointer,
    rcu_dereference,
    rcu_read_lock,
    rcu_read_unlock,
    synchronize_rcu,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Ptr, Struct, u32

FINDS = {"slab-use-after-free-read", "data-race"}


class Config(Struct):
    speed: u32


class Dev(Struct):
    config: Ptr


def read(dev, *, mended):
    if not mended:
        return Config.at(rcu_access_pointer(dev.config)).speed
    rcu_read_lock()
    speed = Config.at(rcu_dereference(dev.config)).speed
    rcu_read_unlock()
    return speed


def update(dev, old):
    new = Config.at(kzalloc(32, GFP_KERNEL))
    new.speed = 2
    rcu_assign_pointer(dev, "config", new)
    synchronize_rcu()
    kfree(old)


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    old = Config.at(kzalloc(32, GFP_KERNEL))
    old.speed = 1
    rcu_assign_pointer(dev, "config", old)
    speeds = []
    k.spawn(lambda: speeds.append(read(dev, mended=mended)), cpu=0, name="reader")
    k.spawn(update, dev, old, cpu=1)
    k.join()
    kfree(dev.config)
    kfree(dev)
    assert speeds[0] in (1, 2)
