from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.percpu_refcount import percpu_ref, percpu_ref_exit, percpu_ref_get, percpu_ref_init, percpu_ref_put


def program(k):
    ref = percpu_ref()
    percpu_ref_init(ref, print, 0, GFP_KERNEL)
    percpu_ref_get(ref)
    percpu_ref_put(ref)
    percpu_ref_put(ref)  # here
    percpu_ref_exit(ref)
