from kmock.linux.spinlock import (
    DEFINE_RAW_SPINLOCK,
    DEFINE_SPINLOCK,
    raw_spin_lock,
    raw_spin_unlock,
    spin_lock,
    spin_unlock,
)

BOOT = {"prove_raw_lock_nesting": True}


def program(k):
    raw, lock = DEFINE_RAW_SPINLOCK("raw"), DEFINE_SPINLOCK("lock")
    raw_spin_lock(raw)
    spin_lock(lock)  # here
    spin_unlock(lock)
    raw_spin_unlock(raw)
