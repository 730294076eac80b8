from kmock.hw.mmio import Register, RegisterModel
from kmock.linux.io import ioremap, iounmap, readw


class Timer(RegisterModel):
    CTRL = Register(0x0)
    STATUS = Register(0x4, access="ro")


def program(k):
    k.mmio(0xF000_0000, 0x1000, Timer())
    regs = ioremap(0xF000_0000, 0x1000)
    readw(regs)  # here
    iounmap(regs)
