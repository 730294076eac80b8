from kmock.linux.printk import printk


def program(k):
    printk("nothing works: %d", 7)
