from kmock.linux.kobject import kobj_type, kobject, kobject_get, kobject_init, kobject_put


def program(k):
    kobj = kobject()
    kobject_init(kobj, kobj_type(release=lambda kobj: None))
    kobject_get(kobj)
    kobject_put(kobj)
    kobject_put(kobj)
