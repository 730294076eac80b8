"""A lookup takes a reference to what it finds after it has let go of the lock that kept it there."""

from kmock.linux.kernel import container_of
from kmock.linux.kref import kref, kref_get, kref_init, kref_put
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.types import NULL, Ptr, Struct, u32

FINDS = {"slab-use-after-free-read", "slab-use-after-free-write", "refcount-inc-from-zero", "data-race"}


class Session(Struct):
    ref: kref
    uses: u32


class Dev(Struct):
    lock: spinlock_t
    session: Ptr


def release(ref):
    kfree(container_of(ref, Session, "ref"))


def lookup(dev, *, mended):
    spin_lock(dev.lock)
    session = dev.session
    if session and mended:
        kref_get(Session.at(session).ref)
    spin_unlock(dev.lock)
    if session and not mended:
        kref_get(Session.at(session).ref)
    if session:
        kref_put(Session.at(session).ref, release)


def drop(dev):
    spin_lock(dev.lock)
    session, dev.session = Session.at(dev.session), NULL
    spin_unlock(dev.lock)
    kref_put(session.ref, release)


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(dev.lock)
    session = Session.at(kzalloc(64, GFP_KERNEL))
    kref_init(session.ref)
    dev.session = session
    k.spawn(lambda: lookup(dev, mended=mended), cpu=0, name="lookup")
    k.spawn(drop, dev, cpu=1)
    k.join()
    kfree(dev)
