from kmock.linux.dma_mapping import scatterlist
from kmock.linux.scatterlist import for_each_sg, sg_chain, sg_init_table, sg_set_buf, sg_virt
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    first = [scatterlist() for _ in range(2)]
    second = [scatterlist()]
    sg_init_table(first, 2)
    sg_init_table(second, 1)
    p = kzalloc(256, GFP_KERNEL)
    sg_set_buf(first[0], p, 128)
    sg_set_buf(second[0], p + 128, 128)
    sg_chain(first, 2, second)
    for one, _ in for_each_sg(first, 2):
        sg_virt(one)
    kfree(p)
