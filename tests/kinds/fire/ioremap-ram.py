from kmock.linux.io import ioremap


def program(k):
    ioremap(0x100_0000, 0x1000)  # here
