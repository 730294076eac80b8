from kmock.linux.kobject import kobject, kobject_put


def program(k):
    kobject_put(kobject())  # here
