"""A message is announced by a flag, with nothing that keeps the message before the flag on other processors."""

from kmock.linux.barrier import smp_rmb, smp_wmb
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

FINDS = {"data-race"}


class Mailbox(Struct):
    full: u32
    message: u32


def send(box, *, mended):
    box.message = 42
    if mended:
        smp_wmb()
    WRITE_ONCE(box, "full", 1)


def receive(box, got, *, mended):
    if READ_ONCE(box.full):
        if mended:
            smp_rmb()
        got.append(box.message)


def program(k, *, mended):
    box = Mailbox.at(kzalloc(64, GFP_KERNEL))
    got = []
    k.spawn(lambda: send(box, mended=mended), cpu=0, name="sender")
    k.spawn(lambda: receive(box, got, mended=mended), cpu=1, name="receiver")
    k.join()
    kfree(box)
    assert got in ([], [42])
