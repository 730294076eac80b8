from kmock.linux.percpu import PCPU_MIN_UNIT_SIZE, __alloc_percpu


def program(k):
    __alloc_percpu(PCPU_MIN_UNIT_SIZE + 1, 8)  # here
