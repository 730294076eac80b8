"""The other side of :mod:`sample_drivers.ringnic`: what stands for the network, sends frames and looks at those that come back.

The C idiom: ``pktgen``. Each frame carries its number, so that one that is lost, changed or overtaken by another is noticed.
"""

from kmock.linux.delay import usleep_range
from kmock.linux.pci import pci_get_drvdata
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

WORDS = (15, 16, 50, 17, 128, 15, 31, 16, 15, 16, 17, 20, 375, 15, 16, 60)
"""Lengths of frames, one behind the other, in words of 4 bytes."""
BURST = 32
"""Frames that are sent before the card is told."""


def frame(number):
    """The bytes of a frame."""
    return number.to_bytes(4, "little") * WORDS[number % len(WORDS)]


class Stack:
    """What a card sends to and receives from; ``sent`` and ``received`` count frames."""

    def __init__(self, module, pdev):
        self.module = module
        self.nic = pci_get_drvdata(pdev)
        self.nic.receive = self.receive
        self.sent = self.received = 0
        self.wrong = []

    def receive(self, nic, skb):
        if skb.data[0 : skb.len] != frame(self.received):
            self.wrong.append(self.received)
        self.received += 1
        kfree(skb.data)

    def send(self, frames):
        """Send so many frames; sleep while the driver has no room."""
        nic = self.nic
        xmit, sk_buff, busy = self.module.ringnic_xmit, self.module.sk_buff, self.module.NETDEV_TX_BUSY
        for number in range(self.sent, self.sent + frames):
            data = frame(number)
            p = kmalloc(len(data), GFP_KERNEL)
            if not p:
                return
            p[0 : len(data)] = data
            skb = sk_buff(p, len(data))
            more = number % BURST != BURST - 1
            while xmit(nic, skb, more) == busy:
                usleep_range(20, 50)
            self.sent += 1
        self.module.ringnic_kick(nic)

    def settle(self):
        """Wait until all that was sent is back, but not for ever."""
        for _ in range(100):
            if self.received == self.sent and self.nic.tx.head == self.nic.tx.tail:
                return
            usleep_range(20, 50)
