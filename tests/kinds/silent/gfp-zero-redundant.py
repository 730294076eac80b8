from kmock.linux.errno import ENOMEM
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, kzalloc
from kmock.linux.string import memset


def good(k):
    table = kzalloc(64, GFP_KERNEL)
    if not table:
        return -ENOMEM
    kfree(table)

    message = kmalloc(32, GFP_KERNEL)
    if not message:
        return -ENOMEM
    for n in range(2):
        memset(message, 0, 32)
        message[0] = n
    kfree(message)
    return 0
