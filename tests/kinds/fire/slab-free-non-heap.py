from kmock.linux.slab import kfree


def program(k):
    p = k.stack_buffer(64)
    kfree(p)  # here
