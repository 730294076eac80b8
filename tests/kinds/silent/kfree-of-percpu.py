from kmock.linux.percpu import alloc_percpu, free_percpu
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import u64


def program(k):
    hits = alloc_percpu(u64)
    buf = kmalloc(8, GFP_KERNEL)
    kfree(buf)
    free_percpu(hits)
