from mmap import MAP_SHARED, PROT_READ

from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent, dma_mmap_coherent
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL

SIZE = 8192


def good(k):
    dev = k.device("frames", dma_mask=DMA_BIT_MASK(32))
    vaddr, handle = dma_alloc_coherent(dev, SIZE, GFP_KERNEL)

    def frames_mmap(file, vma):
        return dma_mmap_coherent(dev, vma, vaddr, handle, SIZE)

    misc = miscdevice(name="frames", fops=file_operations(mmap=frames_mmap))
    misc_register(misc)
    viewer = k.user()
    viewer.mmap(viewer.open("/dev/frames"), SIZE, PROT_READ, MAP_SHARED)
    viewer.exit()
    misc_deregister(misc)
    dma_free_coherent(dev, SIZE, vaddr, handle)
