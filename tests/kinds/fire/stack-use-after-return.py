def prepare(k):
    return k.stack_buffer(16)


def program(k):
    kept = prepare(k)
    kept[0] = 1  # here
