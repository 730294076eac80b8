from kmock.linux.percpu import __alloc_percpu, free_percpu, per_cpu_ptr


def program(k):
    buckets = __alloc_percpu(32, 8)
    per_cpu_ptr(buckets, 1).u64[4] = 1  # here
    free_percpu(buckets)
