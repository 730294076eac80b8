from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init, module_put, try_module_get

MODULE_LICENSE("GPL")


def dev_init():
    return 0


def dev_exit():
    pass


def start():
    return try_module_get(THIS_MODULE)


def stop():
    module_put(THIS_MODULE)


module_init(dev_init)
module_exit(dev_exit)


def good(k):
    module = k.insmod(__file__)
    assert module.start()
    module.stop()
    k.rmmod(module)
