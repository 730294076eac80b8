from kmock.linux.cdev import cdev_alloc, cdev_del


def program(k):
    device = cdev_alloc()
    cdev_del(device)
