from kmock.linux.slab import GFP_KERNEL, kfree, kfree_sensitive, kmalloc


def new_key(byte):
    key = kmalloc(32, GFP_KERNEL)
    key[0:32] = bytes([byte]) * 32
    return key


def program(k):
    kfree_sensitive(new_key(0x11))
    kfree(new_key(0x22))  # here
