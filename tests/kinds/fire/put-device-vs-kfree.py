from kmock.linux.device import device, device_register
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, addressof, sizeof, u32


class Thing(Struct):
    dev: device
    count: u32


def program(k):
    thing = Thing.at(kzalloc(sizeof(Thing), GFP_KERNEL))
    thing.dev.init_name = "thing"
    thing.dev.release = lambda dev: None
    if device_register(thing.dev):
        return
    kfree(addressof(thing))  # here
