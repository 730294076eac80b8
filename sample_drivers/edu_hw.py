"""QEMU's teaching device ``edu`` (``docs/specs/edu.rst`` there), as a model: a factorial unit, an interrupt, and DMA.

The C idiom: none, this is the hardware. A test plugs it in with ``kernel.pci_device(VENDOR, DEVICE, {0: SIZE}, Edu())``.
It takes its time: a factorial and a transfer are done only when virtual time has passed.
"""

from math import factorial

from kmock.hw.device import DeviceModel
from kmock.hw.mmio import Register

VENDOR = 0x1234
DEVICE = 0x11E8
SIZE = 0x10_0000

ID = 0x00
LIVENESS = 0x04
FACTORIAL = 0x08
STATUS = 0x20
IRQ_STATUS = 0x24
IRQ_RAISE = 0x60
IRQ_ACK = 0x64
DMA_SOURCE = 0x80
DMA_DESTINATION = 0x88
DMA_COUNT = 0x90
DMA_COMMAND = 0x98

ID_VALUE = 0x0100_00ED
STATUS_COMPUTING = 0x01
STATUS_IRQ_FACTORIAL = 0x80
IRQ_FACTORIAL = 0x001
IRQ_DMA = 0x100
DMA_START = 0x1
DMA_TO_RAM = 0x2
DMA_IRQ = 0x4
DMA_MASK_BITS = 28

BUFFER = 0x4_0000
BUFFER_SIZE = 4096

COMPUTING_NSECS = 5_000
TRANSFER_NSECS = 20_000


class Edu(DeviceModel):
    """The device. Its own 4 KiB of memory are ``buffer``."""

    msi = 1

    id = Register(ID, reset=ID_VALUE, access="ro")
    liveness = Register(LIVENESS)
    factorial = Register(FACTORIAL)
    status = Register(STATUS, writable=STATUS_IRQ_FACTORIAL)
    irq_status = Register(IRQ_STATUS, access="ro")
    irq_raise = Register(IRQ_RAISE, access="wo")
    irq_ack = Register(IRQ_ACK, access="wo")
    dma_source = Register(DMA_SOURCE, width=8)
    dma_destination = Register(DMA_DESTINATION, width=8)
    dma_count = Register(DMA_COUNT, width=8)
    dma_command = Register(DMA_COMMAND, width=8, writable=DMA_START | DMA_TO_RAM | DMA_IRQ)

    def __init__(self):
        super().__init__()
        self.buffer = bytearray(BUFFER_SIZE)

    @liveness.written
    def invert(self, value):
        self.liveness = ~value

    @factorial.written
    def compute(self, value):
        if not self.status & STATUS_COMPUTING:
            self.status |= STATUS_COMPUTING
            self.after(COMPUTING_NSECS, self.computed)

    def computed(self):
        self.factorial = factorial(min(self.factorial, 1000))
        self.status &= ~STATUS_COMPUTING
        if self.status & STATUS_IRQ_FACTORIAL:
            self.interrupt(IRQ_FACTORIAL)

    @irq_raise.written
    def interrupt(self, value):
        self.irq_status |= value
        if self.irq_status:
            self.raise_irq()

    @irq_ack.written
    def acknowledge(self, value):
        self.irq_status &= ~value

    @dma_command.written
    def transfer(self, value):
        if value & DMA_START:
            self.after(TRANSFER_NSECS, self.transferred)

    def transferred(self):
        command, n = self.dma_command, self.dma_count
        mask = (1 << DMA_MASK_BITS) - 1
        if command & DMA_TO_RAM:
            at = self.dma_source - BUFFER
            self.dma_write(self.dma_destination & mask, bytes(self.buffer[at : at + n]))
        else:
            at = self.dma_destination - BUFFER
            self.buffer[at : at + n] = self.dma_read(self.dma_source & mask, n)
        self.dma_command = command & ~DMA_START
        if command & DMA_IRQ:
            self.interrupt(IRQ_DMA)
