def fill(buf):
    buf[0] = 1


def program(k):
    buf = k.stack_buffer(16)
    fill(buf)
