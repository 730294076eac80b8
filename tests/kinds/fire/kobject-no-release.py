from kmock.linux.kobject import kobj_type, kobject, kobject_init, kobject_put


def program(k):
    kobj = kobject()
    kobject_init(kobj, kobj_type())
    kobject_put(kobj)  # here
