from kmock.linux.mm import FOLL_WRITE, get_user_pages_fast, page_address, put_page, set_page_dirty_lock


def good(k):
    u = k.user().buffer(4096)
    n, pages = get_user_pages_fast(u, 1, FOLL_WRITE)
    assert n == 1
    page_address(pages[0])[0:5] = b"frame"
    set_page_dirty_lock(pages[0])
    put_page(pages[0])
