"""Register windows: plain bytes, declared registers, models of one's own, and devices that are gone."""

from __future__ import annotations

import pytest

import kmock
from kmock.hw.mmio import Bus, Register, RegisterModel
from kmock.linux.io import ioremap, iounmap, readb, readl, readq, readw, writel, writeq


class Timer(RegisterModel):
    CTRL = Register(0x00, reset=0x1, writable=0xF)
    STATUS = Register(0x04, access="ro", reset=0x301, read_to_clear=0xFF)
    IRQ = Register(0x08, reset=0xF, write_one_to_clear=0xFF)
    KEY = Register(0x0C, width=2, access="wo")
    COUNT = Register(0x10, width=8)

    @CTRL.written
    def start(self, value):
        if value & 2:
            self.IRQ |= 0x10

    @COUNT.reading
    def tick(self):
        return self.COUNT + 1


@pytest.fixture
def timer():
    return Timer()


def test_reset_values(timer):
    assert (timer.CTRL, timer.STATUS, timer.IRQ, timer.KEY) == (1, 0x301, 0xF, 0)
    timer.CTRL = 0x1_0000_0007
    assert timer.CTRL == 7
    timer.reset()
    assert timer.CTRL == 1


def test_store_sets_only_what_is_writable(timer):
    timer.write(0, 4, 0xFFFF_FFFF)
    assert timer.read(0, 4) == 0xF


def test_load_clears(timer):
    assert timer.read(4, 4) == 0x301
    assert timer.read(4, 4) == 0x300


def test_ones_clear(timer):
    timer.write(8, 4, 0x5)
    assert timer.read(8, 4) == 0xA


def test_read_only_and_write_only(timer):
    timer.write(4, 4, 0)
    assert timer.STATUS == 0x301
    timer.write(0xC, 2, 0x1234)
    assert timer.read(0xC, 2) == 0
    assert timer.KEY == 0x1234


def test_side_effects(timer):
    timer.write(0, 4, 2)
    assert timer.IRQ == 0x1F
    assert [timer.read(0x10, 8) for _ in range(3)] == [1, 2, 3]


def test_part_of_a_register(timer):
    timer.write(1, 1, 0xFF)
    assert timer.CTRL == 1
    timer.IRQ = 0x1234
    assert timer.read(9, 1) == 0x12


def test_nothing_there(timer):
    assert timer.read(0x40, 4) == 0
    timer.write(0x40, 4, 1)
    assert timer.problem(0x40, 4, write=False).kind == "mmio-out-of-range"


@pytest.mark.parametrize(
    ("offset", "width", "write", "kind"),
    [
        (0, 4, True, None),
        (0, 2, False, "mmio-unaligned-or-width"),
        (2, 2, False, "mmio-unaligned-or-width"),
        (0, 8, False, "mmio-unaligned-or-width"),
        (4, 4, True, "mmio-register-rights"),
        (0xC, 2, False, "mmio-register-rights"),
        (0xC, 2, True, None),
    ],
)
def test_problems(timer, offset, width, write, kind):
    problem = timer.problem(offset, width, write=write)
    assert (problem and problem.kind) == kind


def test_overlapping_registers_are_refused():
    class Bad(RegisterModel):
        A = Register(0, width=8)
        B = Register(4)

    with pytest.raises(ValueError, match="A and B overlap"):
        Bad()


@pytest.mark.parametrize(
    "options", [{"offset": 2}, {"offset": 0, "width": 3}, {"offset": 0, "access": "x"}, {"offset": -4}]
)
def test_registers_that_cannot_be(options):
    with pytest.raises(ValueError, match=r"."):
        Register(**options)


def test_windows_may_not_overlap():
    bus = Bus()
    first = bus.add(0x1000, 0x1000)
    assert bus.overlapping(0x1FFF, 0x3000) is first
    assert bus.overlapping(0x2000, 0x3000) is None
    for base, size in ((0x1800, 4), (0, 0x1001), (0x1FFF, 0x1000)):
        with pytest.raises(ValueError, match="another device's"):
            bus.add(base, size)
    with pytest.raises(ValueError, match="is no model"):
        bus.add(0x5000, 4, object())


def test_a_model_of_ones_own():
    class Echo:
        def __init__(self):
            self.seen = []

        def read(self, offset, width):
            self.seen.append(("read", offset, width))
            return 0x1_2345_6789

        def write(self, offset, width, value):
            self.seen.append(("write", offset, width, value))

    echo = Echo()
    with kmock.boot() as k:
        k.mmio(0xF000_0000, 0x100, echo)
        regs = ioremap(0xF000_0000, 0x100)
        assert readl(regs + 8) == 0x2345_6789
        writeq(-1, regs + 16)
        iounmap(regs)
        assert not k.reports
    assert echo.seen == [("read", 8, 4), ("write", 16, 8, (1 << 64) - 1)]


def test_a_device_pulled_out_reads_all_ones():
    with kmock.boot() as k:
        window = k.mmio(0xF000_0000, 0x1000, Timer())
        regs = ioremap(0xF000_0000, 0x1000)
        window.pull()
        assert (readb(regs), readw(regs), readl(regs), readq(regs)) == tuple((1 << n) - 1 for n in (8, 16, 32, 64))
        writel(0, regs)
        iounmap(regs)
        assert window.model.CTRL == 1
        assert not k.reports


def test_a_device_turned_off_is_reported_once():
    with kmock.boot() as k:
        window = k.mmio(0xF000_0000, 0x1000)
        regs = ioremap(0xF000_0000, 0x1000)
        window.power(False)
        assert readl(regs) == 0xFFFF_FFFF
        writel(1, regs)
        window.power(True)
        assert readl(regs) == 0
        iounmap(regs)
        assert [r.kind for r in k.reports] == ["mmio-after-disable"]


def test_ram_is_no_place_for_a_device():
    with kmock.boot() as k, pytest.raises(ValueError, match="is RAM"):
        k.mmio(0x100_0000, 0x1000)
