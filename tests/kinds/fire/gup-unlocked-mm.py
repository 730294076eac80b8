from kmock.linux.mm import get_user_pages, put_page


def program(k):
    u = k.user().buffer(4096)
    n, pages = get_user_pages(u, 1, 0)  # here
    assert n == 1
    put_page(pages[0])
