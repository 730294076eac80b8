from kmock.linux.mm import get_user_pages_fast, put_page
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock

lock = DEFINE_SPINLOCK("lock")


def program(k):
    u = k.user().buffer(4096)
    spin_lock(lock)
    n, pages = get_user_pages_fast(u, 1, 0)  # here
    spin_unlock(lock)
    assert n == 1
    put_page(pages[0])
