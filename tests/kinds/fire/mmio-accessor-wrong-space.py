from kmock.linux.io import ioread32


def program(k):
    ioread32(0x60)  # here
