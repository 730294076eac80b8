from kmock.linux.cdev import cdev_alloc
from kmock.linux.slab import kfree


def program(k):
    device = cdev_alloc()
    kfree(device)  # here
