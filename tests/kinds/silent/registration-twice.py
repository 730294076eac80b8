from kmock.linux.cdev import cdev_add, cdev_alloc, cdev_del
from kmock.linux.fs import alloc_chrdev_region, file_operations, unregister_chrdev_region


def good(k):
    err, dev = alloc_chrdev_region(0, 2, "dev")
    assert not err
    entry = cdev_alloc()
    entry.ops = file_operations()
    cdev_add(entry, dev, 1)
    cdev_del(entry)
    cdev_add(entry, dev + 1, 1)
    cdev_del(entry)
    unregister_chrdev_region(dev, 2)
