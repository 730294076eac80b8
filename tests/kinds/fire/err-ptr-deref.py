from kmock.linux.err import ERR_PTR
from kmock.linux.errno import EIO


def program(k):
    p = ERR_PTR(-EIO)
    p[0] = 1  # here
