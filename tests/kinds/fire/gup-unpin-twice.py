from kmock.linux.mm import pin_user_pages_fast, unpin_user_page, unpin_user_pages


def program(k):
    u = k.user().buffer(4096)
    n, pages = pin_user_pages_fast(u, 1, 0)
    unpin_user_pages(pages, n)
    unpin_user_page(pages[0])  # here
