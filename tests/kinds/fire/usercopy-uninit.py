from kmock.linux.uaccess import copy_to_user


def program(k):
    reply = k.stack_buffer(64)
    reply[0:8] = b"header.."
    left = copy_to_user(k.user().buffer(64), reply, 64)  # here
    assert left == 0
