from kmock.linux.mm import FOLL_WRITE, pin_user_pages_fast, unpin_user_pages


def program(k):
    u = k.user().buffer(4096)
    n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)  # here
    k.advance(60)
    unpin_user_pages(pages, n)
