from kmock.linux.idr import DEFINE_IDA, ida_alloc, ida_destroy, ida_free
from kmock.linux.slab import GFP_KERNEL


def program(k):
    ids = DEFINE_IDA("ids")
    n = ida_alloc(ids, GFP_KERNEL)
    ida_free(ids, n)
    assert ida_alloc(ids, GFP_KERNEL) == n
    ida_destroy(ids)
