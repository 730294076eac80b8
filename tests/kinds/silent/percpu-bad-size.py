from kmock.linux.percpu import PCPU_MIN_UNIT_SIZE, __alloc_percpu, free_percpu


def program(k):
    free_percpu(__alloc_percpu(PCPU_MIN_UNIT_SIZE, 4096))
