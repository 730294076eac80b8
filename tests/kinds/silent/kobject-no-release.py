from kmock.linux.kobject import kobj_type, kobject, kobject_init, kobject_put


def program(k):
    released = []
    kobj = kobject()
    kobject_init(kobj, kobj_type(release=released.append))
    kobject_put(kobj)
    assert released == [kobj]
