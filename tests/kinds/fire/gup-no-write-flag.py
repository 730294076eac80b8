from kmock.linux.mm import get_user_pages_fast, page_address, put_page, set_page_dirty_lock


def program(k):
    u = k.user().buffer(4096)
    n, pages = get_user_pages_fast(u, 1, 0)
    assert n == 1
    page_address(pages[0])[0:5] = b"frame"  # here
    set_page_dirty_lock(pages[0])
    put_page(pages[0])
