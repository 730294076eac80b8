from kmock.linux.bottom_half import local_bh_disable, local_bh_enable


def good(k):
    local_bh_disable()
    local_bh_enable()
