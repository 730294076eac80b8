from kmock.linux.mm import FOLL_WRITE, page_address, pin_user_pages_fast, unpin_user_pages


def program(k):
    u = k.user().buffer(4096)
    n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
    page_address(pages[0])[0:5] = b"frame"
    unpin_user_pages(pages, n)  # here
