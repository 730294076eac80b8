from kmock.linux.io import ioremap


def program(k):
    assert not ioremap(0xF000_0000, 0)  # here
