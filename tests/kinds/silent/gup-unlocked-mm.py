from kmock.linux.mm import get_user_pages, put_page
from kmock.linux.mmap_lock import mmap_read_lock, mmap_read_unlock
from kmock.linux.sched import current


def good(k):
    u = k.user().buffer(4096)
    mmap_read_lock(current().mm)
    n, pages = get_user_pages(u, 1, 0)
    mmap_read_unlock(current().mm)
    assert n == 1
    put_page(pages[0])
