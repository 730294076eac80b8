from kmock.linux.gfp import __free_page
from kmock.linux.mm import FOLL_WRITE, pin_user_pages_fast, set_page_count


def program(k):
    p = k.user()
    u = p.buffer(4096)
    n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
    assert n == 1
    p.munmap(u, 4096)
    set_page_count(pages[0], 1)  # by force: somebody else's references do not count
    __free_page(pages[0])  # here
