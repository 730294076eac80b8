from kmock.linux.idr import DEFINE_IDR, idr_alloc, idr_destroy, idr_find
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    sessions = DEFINE_IDR("sessions")
    id = idr_alloc(sessions, kmalloc(64, GFP_KERNEL), 0, 0, GFP_KERNEL)
    session = idr_find(sessions, id)
    idr_destroy(sessions)  # here
    kfree(session)
