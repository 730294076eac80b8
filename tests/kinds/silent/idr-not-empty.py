from kmock.linux.idr import DEFINE_IDR, idr_alloc, idr_destroy, idr_for_each, idr_remove
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def free_one(id, session, data):
    kfree(session)
    return 0


def program(k):
    sessions = DEFINE_IDR("sessions")
    id = idr_alloc(sessions, kmalloc(64, GFP_KERNEL), 0, 0, GFP_KERNEL)
    kfree(idr_remove(sessions, id))
    idr_alloc(sessions, kmalloc(64, GFP_KERNEL), 0, 0, GFP_KERNEL)
    idr_for_each(sessions, free_one, None)
    idr_destroy(sessions)
