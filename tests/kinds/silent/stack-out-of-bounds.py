def program(k):
    buf = k.stack_buffer(16)
    buf[15] = 1
