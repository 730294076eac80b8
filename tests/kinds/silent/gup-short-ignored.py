from kmock.linux.mm import pin_user_pages_fast, unpin_user_pages


def good(k):
    u = k.user().buffer(4096)
    n, pages = pin_user_pages_fast(u, 2, 0)
    assert n == 1
    unpin_user_pages(pages, n)
