from kmock.linux.errno import EFAULT
from kmock.linux.mm import pin_user_pages_fast, unpin_user_pages


def program(k):
    k.user()
    n, pages = pin_user_pages_fast(0x10000, 1, 0)
    assert n == -EFAULT
    unpin_user_pages(pages, n)  # here
