"""The device that the ``stopwatch`` drivers drive: a counter with a match interrupt, as a model of its registers.

The C idiom: none, this is the hardware. A test puts it on the bus with ``kernel.mmio(BASE, SIZE, Stopwatch())``,
and raises its interrupt line where ``interrupts`` says that it is high.
"""

from kmock.hw.mmio import Register, RegisterModel

BASE = 0xF000_0000
SIZE = 0x1000
IRQ = 11

ID = 0x00
CTRL = 0x04
COUNT = 0x08
MATCH = 0x0C
INT_STATUS = 0x10

ID_VALUE = 0x5707_0001
CTRL_RUN = 1
INT_MATCH = 1


class Stopwatch(RegisterModel):
    """Counts while it runs; sets a bit that is cleared by writing one to it when it reaches the match value."""

    id = Register(ID, reset=ID_VALUE, access="ro")
    ctrl = Register(CTRL, writable=CTRL_RUN)
    count = Register(COUNT, access="ro")
    match = Register(MATCH, reset=0xFFFF_FFFF)
    int_status = Register(INT_STATUS, write_one_to_clear=INT_MATCH)

    @ctrl.written
    def started(self, value):
        if value & CTRL_RUN:
            self.count = 0

    @property
    def interrupts(self):
        return bool(self.int_status & INT_MATCH)

    def tick(self, n=1):
        if self.ctrl & CTRL_RUN:
            before, self.count = self.count, self.count + n
            if before < self.match <= self.count:
                self.int_status |= INT_MATCH
