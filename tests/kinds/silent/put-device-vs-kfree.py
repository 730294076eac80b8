from kmock.linux.container_of import container_of
from kmock.linux.device import device, device_register, device_unregister
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, addressof, sizeof, u32


class Thing(Struct):
    dev: device
    count: u32


def release(dev):
    kfree(addressof(container_of(dev, Thing, "dev")))


def program(k):
    thing = Thing.at(kzalloc(sizeof(Thing), GFP_KERNEL))
    thing.dev.init_name = "thing"
    thing.dev.release = release
    assert device_register(thing.dev) == 0
    device_unregister(thing.dev)
