from kmock.linux.types import NULL


def program(k):
    p = NULL
    if p:
        p[8] = 1
