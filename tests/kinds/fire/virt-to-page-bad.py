from kmock.linux.mm import virt_to_page
from kmock.linux.types import Ptr


def program(k):
    virt_to_page(Ptr(0x1000))  # here
