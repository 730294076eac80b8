from kmock.linux.bug import WARN_ON


def program(k):
    WARN_ON(k.clock.now < 0)
