from kmock.linux.spinlock import (
    DEFINE_RAW_SPINLOCK,
    DEFINE_SPINLOCK,
    raw_spin_lock,
    raw_spin_unlock,
    spin_lock,
    spin_unlock,
)

BOOT = {"prove_raw_lock_nesting": True}


def good(k):
    raw, lock = DEFINE_RAW_SPINLOCK("raw"), DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    raw_spin_lock(raw)
    raw_spin_unlock(raw)
    spin_unlock(lock)
