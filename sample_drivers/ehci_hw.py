"""A host controller in the manner of EHCI, as a model: it walks lists in memory by itself, a frame at a time.

The C idiom: none, this is the hardware. ``plug(kernel)`` puts it on the bus as platform device ``ehci``. Every millisecond
that it runs it visits the periodic element, then each queue head of the asynchronous ring, and does the transfers that
hang on it: what goes out comes back in. After a frame in which the doorbell rang nothing that was unlinked before is
known to it any more, and it says so.
"""

from kmock.hw.mmio import Register, RegisterModel
from kmock.linux.ioport import DEFINE_RES_IRQ, DEFINE_RES_MEM

BASE = 0xF010_0000
SIZE = 0x1000
IRQ = 23

CMD = 0x00
STS = 0x04
ASYNC = 0x08
PERIODIC = 0x0C

CMD_RUN = 1
CMD_DOORBELL = 2
STS_INT = 1
STS_IAA = 2

LINK_END = 1
TOKEN_ACTIVE = 0x80
TOKEN_IN = 0x100
TOKEN_BYTES = 16

FRAME_NSECS = 1_000_000


class Ehci(RegisterModel):
    """The controller, and a device behind it that sends back what it is sent."""

    cmd = Register(CMD, writable=CMD_RUN | CMD_DOORBELL)
    sts = Register(STS, write_one_to_clear=STS_INT | STS_IAA)
    async_list = Register(ASYNC)
    periodic = Register(PERIODIC, reset=LINK_END)

    def plug(self, kernel):
        """Put the controller on the bus; returns the platform device."""
        self.kernel = kernel
        self.fifo = b""
        kernel.mmio(BASE, SIZE, self)
        pdev = kernel.platform_device("ehci", [DEFINE_RES_MEM(BASE, SIZE), DEFINE_RES_IRQ(IRQ)])
        self.dev = pdev.dev
        return pdev

    @cmd.written
    def started(self, value):
        if value & CMD_RUN and not getattr(self, "running", False):
            self.running = True
            self._next_frame()

    def _next_frame(self):
        clock = self.kernel.clock
        self.kernel.sched.timeouts.arm(clock.now + FRAME_NSECS, self.frame)

    def _words(self, address):
        data = self.kernel.dma_read(self.dev, address, 12)
        return [int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8)]

    def _set(self, address, word):
        self.kernel.dma_write(self.dev, address, word.to_bytes(4, "little"))

    def frame(self):
        """One frame, and the interrupt at its end."""
        self.running = bool(self.cmd & CMD_RUN)
        if not self.running:
            return
        if self.periodic != LINK_END:
            self._set(self.periodic + 8, self._words(self.periodic)[2] + 1)
        qh = self.async_list
        while True:
            following = self._queue(qh)
            if following == self.async_list:
                break
            qh = following
        if self.cmd & CMD_DOORBELL:
            self.cmd &= ~CMD_DOORBELL
            self.sts |= STS_IAA
        self._next_frame()
        if self.sts:
            self.kernel.raise_irq(IRQ)

    def _queue(self, qh):
        """Do what hangs on a queue head; returns where the next one is."""
        following, _, qtd = self._words(qh)
        while qtd != LINK_END:
            link, token, buffer = self._words(qtd)
            if token & TOKEN_ACTIVE:
                self._transfer(token, buffer)
                self._set(qtd + 4, token & ~TOKEN_ACTIVE)
                self.sts |= STS_INT
            qtd = link
            self._set(qh + 8, qtd)
        return following

    def _transfer(self, token, buffer):
        n = token >> TOKEN_BYTES
        if token & TOKEN_IN:
            self.kernel.dma_write(self.dev, buffer, self.fifo[:n].ljust(n, b"\0"))
            self.fifo = self.fifo[n:]
        else:
            self.fifo += self.kernel.dma_read(self.dev, buffer, n)
