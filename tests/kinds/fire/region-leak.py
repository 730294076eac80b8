from kmock.linux.ioport import request_mem_region


def program(k):
    request_mem_region(0xF000_0000, 0x1000, "driver")  # here
