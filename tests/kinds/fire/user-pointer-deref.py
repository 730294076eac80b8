from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice


def dev_write(filp, buf, count, f_pos):
    filp.private_data = buf[0]  # here
    return count


def program(k):
    misc_register(miscdevice(name="dev", fops=file_operations(write=dev_write)))
    p = k.user()
    p.write(p.open("/dev/dev"), b"x")
