def program(k):
    buf = k.stack_buffer(1 << 10)
    buf[0] = 1
