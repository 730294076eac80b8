from kmock.linux.kobject import kobj_type, kobject, kobject_init, kobject_put


def program(k):
    ktype = kobj_type(release=lambda kobj: None)
    for _ in range(2):
        kobj = kobject()
        kobject_init(kobj, ktype)
        kobject_put(kobj)
