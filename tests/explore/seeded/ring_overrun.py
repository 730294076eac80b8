"""Two producers look for room in a ring, and then both put something there: one entry is lost."""

from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.types import Struct, u32

FINDS = {"AssertionError"}
SIZE = 4


class Ring(Struct):
    lock: spinlock_t
    head: u32
    tail: u32
    entries: u32[SIZE]


def put(ring, value):
    head = READ_ONCE(ring.head)
    if head - READ_ONCE(ring.tail) >= SIZE:
        return False
    WRITE_ONCE(ring.entries, head % SIZE, value)
    WRITE_ONCE(ring, "head", head + 1)
    return True


def put_locked(ring, value):
    spin_lock(ring.lock)
    done = put(ring, value)
    spin_unlock(ring.lock)
    return done


def program(k, *, mended):
    ring = Ring.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(ring.lock)
    accepted = []

    def produce(values):
        accepted.extend(v for v in values if (put_locked if mended else put)(ring, v))

    k.spawn(produce, (1, 2), cpu=0, name="producer/0")
    k.spawn(produce, (3, 4, 5), cpu=1, name="producer/1")
    k.join()
    kept = sorted(ring.entries[i] for i in range(ring.head))
    kfree(ring)
    assert kept == sorted(accepted)
