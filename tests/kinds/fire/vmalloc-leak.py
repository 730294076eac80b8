from kmock.linux.vmalloc import vmalloc


def program(k):
    vmalloc(100)  # here
