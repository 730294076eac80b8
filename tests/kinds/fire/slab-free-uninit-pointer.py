from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

BOOT = {"kasan": False, "cmdline": "slub_debug=FZPU"}


def program(k):
    holder = kmalloc(64, GFP_KERNEL)
    p = holder.ptr[2]
    kfree(holder)
    kfree(p)  # here
