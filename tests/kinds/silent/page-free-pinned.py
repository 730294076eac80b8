from kmock.linux.mm import FOLL_WRITE, pin_user_pages_fast, unpin_user_page


def good(k):
    p = k.user()
    u = p.buffer(4096)
    n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
    assert n == 1
    p.munmap(u, 4096)
    unpin_user_page(pages[0])
