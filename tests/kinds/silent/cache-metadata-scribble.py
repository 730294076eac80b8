from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

BOOT = {"kasan": False, "cmdline": "slub_debug=FZPU"}


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    link = p - k.layout.page_offset
    k.ram.bytes[link] = 0xFF
    kfree(p)
