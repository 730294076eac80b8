def program(k):
    buf = k.stack_buffer(32 << 10)  # here
    buf[0] = 1
