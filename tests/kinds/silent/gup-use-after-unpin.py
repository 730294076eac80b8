from kmock.linux.mm import page_address, pin_user_pages_fast, unpin_user_pages


def good(k):
    u = k.user().buffer(b"header" + bytes(4090))
    n, pages = pin_user_pages_fast(u, 1, 0)
    header = page_address(pages[0])
    assert header[0:6] == b"header"
    unpin_user_pages(pages, n)
