from kmock.linux.err import ERR_PTR, IS_ERR
from kmock.linux.errno import EIO


def program(k):
    p = ERR_PTR(-EIO)
    if not IS_ERR(p):
        p[0] = 1
