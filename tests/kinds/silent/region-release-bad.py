from kmock.linux.ioport import release_mem_region, request_mem_region


def program(k):
    request_mem_region(0xF000_0000, 0x1000, "driver")
    release_mem_region(0xF000_0000, 0x1000)
