from kmock.linux.mm import FOLL_LONGTERM, FOLL_WRITE, pin_user_pages_fast, unpin_user_pages


def good(k):
    u = k.user().buffer(4096)
    n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE | FOLL_LONGTERM)
    k.advance(60)
    unpin_user_pages(pages, n)
