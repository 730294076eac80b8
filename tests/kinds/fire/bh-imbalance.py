from kmock.linux.bottom_half import local_bh_disable


def program(k):
    local_bh_disable()  # here
