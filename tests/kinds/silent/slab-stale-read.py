from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, kzalloc

BOOT = {"uninit_loads": True, "kasan": False}
BUSY = 1


def program(k):
    old = kmalloc(32, GFP_KERNEL)
    old.u32[0] = BUSY
    kfree(old)
    request = kzalloc(32, GFP_KERNEL)
    if request.u32[0] == BUSY:
        request.u32[1] = 1
    kfree(request)
