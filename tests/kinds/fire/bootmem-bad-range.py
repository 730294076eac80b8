from kmock.linux.mm import add_active_range, remove_all_active_ranges

BOOT = {"nodes": 2}


def program(k):
    with k.early_boot():
        remove_all_active_ranges()
        add_active_range(0, 256, 10240)
        add_active_range(1, 8192, 16384)  # here
