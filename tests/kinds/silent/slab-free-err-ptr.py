from kmock.linux.err import ERR_PTR, IS_ERR
from kmock.linux.errno import ENOMEM
from kmock.linux.slab import kfree


def program(k):
    p = ERR_PTR(-ENOMEM)
    if not IS_ERR(p):
        kfree(p)
