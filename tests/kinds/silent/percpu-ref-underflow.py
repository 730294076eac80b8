from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.percpu_refcount import (
    percpu_ref,
    percpu_ref_exit,
    percpu_ref_get,
    percpu_ref_init,
    percpu_ref_kill,
    percpu_ref_put,
)


def good(k):
    released = []
    ref = percpu_ref()
    percpu_ref_init(ref, released.append, 0, GFP_KERNEL)
    percpu_ref_get(ref)
    percpu_ref_put(ref)
    percpu_ref_kill(ref)
    k.advance(0.1)
    assert released == [ref]
    percpu_ref_exit(ref)
