from kmock.linux.kernel import container_of
from kmock.linux.kref import kref, kref_get, kref_init, kref_put
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, sizeof, u32


class Session(Struct):
    id: u32
    ref: kref


def release(ref):
    kfree(container_of(ref, Session, "ref"))


def find(session, id):
    if session.id != id:
        return None
    kref_get(session.ref)
    return session


def program(k):
    session = Session.at(kzalloc(sizeof(Session), GFP_KERNEL))
    kref_init(session.ref)
    find(session, 7)
    kref_put(session.ref, release)
