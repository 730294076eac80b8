from kmock.linux.types import Ptr


def program(k):
    assert Ptr(0xDEAD_4EAD_0000_0000)
