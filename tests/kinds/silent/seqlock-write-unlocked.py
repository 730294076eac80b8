from kmock.linux.seqlock import seqcount_spinlock_init, seqcount_t, write_seqcount_begin, write_seqcount_end
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def good(k):
    lock, count = DEFINE_SPINLOCK("lock"), seqcount_t()
    seqcount_spinlock_init(count, lock)
    spin_lock(lock)
    write_seqcount_begin(count)
    write_seqcount_end(count)
    spin_unlock(lock)
