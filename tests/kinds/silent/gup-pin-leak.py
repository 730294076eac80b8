from kmock.linux.mm import FOLL_WRITE, pin_user_pages_fast, unpin_user_pages


def good(k):
    u = k.user().buffer(8192)
    n, pages = pin_user_pages_fast(u, 2, FOLL_WRITE)
    assert n == 2
    unpin_user_pages(pages, n)
