from kmock.linux.slab import GFP_KERNEL, kfree, kfree_sensitive, kmalloc
from kmock.linux.string import memzero_explicit


def new_key(byte):
    key = kmalloc(32, GFP_KERNEL)
    key[0:32] = bytes([byte]) * 32
    return key


def program(k):
    kfree_sensitive(new_key(0x11))
    key = new_key(0x22)
    memzero_explicit(key, 32)
    kfree(key)
