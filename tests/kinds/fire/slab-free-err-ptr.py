from kmock.linux.err import ERR_PTR
from kmock.linux.errno import ENOMEM
from kmock.linux.slab import kfree


def program(k):
    p = ERR_PTR(-ENOMEM)
    kfree(p)  # here
