def program(k):
    p = k.stack_buffer(64)
    p[0] = 1
