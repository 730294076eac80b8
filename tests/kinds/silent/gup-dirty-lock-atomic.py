from kmock.linux.mm import FOLL_WRITE, get_user_pages_fast, put_page, set_page_dirty_lock
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock

lock = DEFINE_SPINLOCK("lock")


def good(k):
    u = k.user().buffer(4096)
    n, pages = get_user_pages_fast(u, 1, FOLL_WRITE)
    assert n == 1
    spin_lock(lock)
    spin_unlock(lock)
    set_page_dirty_lock(pages[0])
    put_page(pages[0])
