from kmock.linux.mm import FOLL_WRITE, pin_user_pages_fast, put_page


def program(k):
    u = k.user().buffer(4096)
    n, pages = pin_user_pages_fast(u, 1, FOLL_WRITE)
    assert n == 1
    put_page(pages[0])  # here
