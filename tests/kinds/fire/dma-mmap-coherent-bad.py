from mmap import MAP_SHARED, PROT_READ

from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent
from kmock.linux.fs import file_operations
from kmock.linux.io import virt_to_phys
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import remap_pfn_range
from kmock.linux.slab import GFP_KERNEL

SIZE = 8192


def program(k):
    dev = k.device("frames", dma_mask=DMA_BIT_MASK(32))
    vaddr, handle = dma_alloc_coherent(dev, SIZE, GFP_KERNEL)

    def frames_mmap(file, vma):
        pfn = virt_to_phys(vaddr) >> 12
        return remap_pfn_range(vma, vma.vm_start, pfn, SIZE, vma.vm_page_prot)  # here

    misc = miscdevice(name="frames", fops=file_operations(mmap=frames_mmap))
    misc_register(misc)
    viewer = k.user()
    viewer.mmap(viewer.open("/dev/frames"), SIZE, PROT_READ, MAP_SHARED)
    viewer.exit()
    misc_deregister(misc)
    dma_free_coherent(dev, SIZE, vaddr, handle)
