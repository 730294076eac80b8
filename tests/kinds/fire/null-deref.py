from kmock.linux.types import NULL


def program(k):
    NULL[8] = 1  # here
