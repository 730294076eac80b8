from kmock.linux.bug import panic


def program(k):
    panic("nothing works: %d", 7)  # here
