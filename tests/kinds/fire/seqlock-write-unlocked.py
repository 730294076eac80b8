from kmock.linux.seqlock import seqcount_spinlock_init, seqcount_t, write_seqcount_begin, write_seqcount_end
from kmock.linux.spinlock import DEFINE_SPINLOCK


def program(k):
    lock, count = DEFINE_SPINLOCK("lock"), seqcount_t()
    seqcount_spinlock_init(count, lock)
    write_seqcount_begin(count)  # here
    write_seqcount_end(count)
