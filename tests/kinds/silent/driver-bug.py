from kmock.linux.bug import BUG_ON


def program(k):
    BUG_ON(k.clock.now < 0)
