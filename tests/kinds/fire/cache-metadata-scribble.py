from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

BOOT = {"kasan": False, "cmdline": "slub_debug=FZPU"}


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    kfree(p)
    link = p - k.layout.page_offset + 72
    k.ram.bytes[link] = 0xFF  # a device that writes behind the kernel's back
    kfree(kmalloc(64, GFP_KERNEL))  # here
