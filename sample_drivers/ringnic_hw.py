"""A network card with descriptor rings, as a model: what it is told to send it receives, as with a plug that loops back.

The C idiom: none, this is the hardware. A test plugs it in with ``kernel.pci_device(VENDOR, DEVICE, {0: SIZE}, RingNic())``.

A ring is an array of descriptors of 16 bytes in memory that the processor shares: address and length of a buffer, and flags.
``OWN`` says that the descriptor is the card's; the card takes it away when it is done. A write to ``TX_KICK`` or
``RX_KICK`` says that there is more; the card has its own time to look. Frames that find no buffer wait in the card, and what
waits there keeps it from sending more, so that none is lost. Interrupts are held back for ``ITR`` nanoseconds, and the card
sends one for all that happened until then, or none of what ``IMS`` does not have.
"""

from collections import deque
from struct import Struct

from kmock.hw.device import DeviceModel
from kmock.hw.mmio import Register

VENDOR = 0x1AF4
DEVICE = 0x10C5
SIZE = 0x1000

CTRL = 0x00
STATUS = 0x04
ICR = 0x08
IMS = 0x0C
ITR = 0x10
TX_KICK = 0x14
RX_KICK = 0x18
TX_BASE = 0x20
TX_COUNT = 0x28
RX_BASE = 0x30
RX_COUNT = 0x38

CTRL_ENABLE = 0x1
STATUS_LINK = 0x1
STATUS_BUSY = 0x2
INT_TX = 0x1
INT_RX = 0x2
DESC_OWN = 0x8000_0000
DESC_ERROR = 0x4000_0000
DESC_SIZE = 16

BURST = 16
"""Descriptors that the card fetches, or writes back, at once."""
FIFO = 64
"""Frames that may wait in the card."""
FETCH_NSECS = 500
WIRE_NSECS = 1_000
STOP_NSECS = 2_000

_descriptor = Struct("<QII")


class Ring:
    """Where the card is in one ring."""

    def __init__(self, card, base, count):
        self.card = card
        self.base = base
        self.count = count
        self.next = 0

    def fetch(self):
        """The next descriptors, as many as come in one burst and are the card's: address, length, flags."""
        n = min(BURST, self.count - self.next)
        raw = self.card.dma_read(self.base + self.next * DESC_SIZE, n * DESC_SIZE)
        out = []
        for descriptor in _descriptor.iter_unpack(raw):
            if not descriptor[2] & DESC_OWN:
                break
            out.append(descriptor)
        return out

    def give_back(self, done):
        """Write descriptors back, from the next on; they are the driver's from now on."""
        if done:
            at = self.base + self.next * DESC_SIZE
            self.next = (self.next + len(done)) % self.count
            self.card.dma_write(at, b"".join(_descriptor.pack(*descriptor) for descriptor in done))


class RingNic(DeviceModel):
    """The card. ``sent`` and ``received`` count the frames."""

    msi = 1

    ctrl = Register(CTRL, writable=CTRL_ENABLE)
    status = Register(STATUS, reset=STATUS_LINK, access="ro")
    icr = Register(ICR, write_one_to_clear=INT_TX | INT_RX)
    ims = Register(IMS, writable=INT_TX | INT_RX)
    itr = Register(ITR)
    tx_kick = Register(TX_KICK, access="wo")
    rx_kick = Register(RX_KICK, access="wo")
    tx_base = Register(TX_BASE, width=8)
    tx_count = Register(TX_COUNT)
    rx_base = Register(RX_BASE, width=8)
    rx_count = Register(RX_COUNT)

    def __init__(self):
        super().__init__()
        self.sent = self.received = 0
        self._fifo = deque()
        self._due = set()
        self._tx = self._rx = None

    @ctrl.written
    def enable(self, value):
        if value & CTRL_ENABLE:
            self._tx = Ring(self, self.tx_base, self.tx_count)
            self._rx = Ring(self, self.rx_base, self.rx_count)
        elif self._tx:
            self._tx = self._rx = None
            self._fifo.clear()
            self.status |= STATUS_BUSY
            self.after(STOP_NSECS, self._stopped)

    def _stopped(self):
        self.status &= ~STATUS_BUSY

    def _soon(self, nsecs, action):
        """Do it later, once, if the card is still on by then."""
        if action in self._due:
            return
        self._due.add(action)

        def due():
            self._due.discard(action)
            if self._tx:
                action()

        self.after(nsecs, due)

    # -- frames ---------------------------------------------------------------------------------------

    @tx_kick.written
    def transmit_more(self, value):
        self._soon(FETCH_NSECS, self._transmit)

    @rx_kick.written
    def receive_more(self, value):
        self._soon(FETCH_NSECS, self._receive)

    def _transmit(self):
        while todo := self._tx.fetch()[: FIFO - len(self._fifo)]:
            for address, length, _ in todo:
                self._fifo.append(self.dma_read(address, length))
            self.sent += len(todo)
            self._tx.give_back([(address, length, flags & ~DESC_OWN) for address, length, flags in todo])
            self._happened(INT_TX)
        if self._fifo:
            self._soon(WIRE_NSECS, self._receive)

    def _receive(self):
        while self._fifo and (room := self._rx.fetch()):
            done = []
            for address, size, flags in room:
                if not self._fifo:
                    break
                frame = self._fifo.popleft()
                if len(frame) > size:
                    flags |= DESC_ERROR
                else:
                    self.dma_write(address, frame)
                done.append((address, len(frame), flags & ~DESC_OWN))
            self.received += len(done)
            self._rx.give_back(done)
            self._happened(INT_RX)
        self._soon(FETCH_NSECS, self._transmit)

    # -- interrupts -----------------------------------------------------------------------------------

    def _happened(self, cause):
        self.icr |= cause
        self._soon(self.itr, self._interrupt)

    @ims.written
    def unmask(self, value):
        if value & self.icr:
            self._soon(self.itr, self._interrupt)

    def _interrupt(self):
        if self.icr & self.ims:
            self.raise_irq()
