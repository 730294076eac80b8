"""The host controller: transfers through lists in DMA memory, on machines of every kind, every call failing once."""

from __future__ import annotations

import errno
from contextlib import suppress

import pytest

import kmock
from sample_drivers import ehci
from sample_drivers.ehci_hw import Ehci

DRIVER = "sample_drivers.ehci"
MACHINES = {"direct": {}, "iommu": {"iommu": True}, "noncoherent": {"dma_coherent": False}, "debug": {"kasan": False}}


def pattern(n, salt=0):
    return bytes((i * 11 + salt) % 253 for i in range(n))


@pytest.fixture(params=MACHINES)
def k(request):
    with kmock.boot(**MACHINES[request.param]) as kernel:
        yield kernel
        kernel.shutdown()
        assert [str(r) for r in kernel.reports.unexpected] == []


@pytest.fixture
def loaded(k):
    device = Ehci()
    device.plug(k)
    return device, k.insmod(DRIVER)


def test_what_goes_out_comes_back(k, loaded):
    _, module = loaded
    p = k.user()
    fd = p.open("/dev/ehci")
    for n in (1, 511, 512, 513, ehci.MAX_BYTES):
        assert p.write(fd, pattern(n)) == n
        assert p.read(fd, n) == pattern(n)
    p.close(fd)
    k.rmmod(module)


def test_structures_are_as_the_hardware_wants_them(k, loaded):
    _, module = loaded
    pools = module.hcd.qh_pool, module.hcd.qtd_pool, module.hcd.itd_pool
    assert [(pool.size % 32, pool.boundary) for pool in pools] == [(0, 4096)] * 3
    text = k.read_file("/sys/bus/platform/devices/ehci/pools")
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["ehci_itd", "ehci_qtd", "ehci_qh"]
    k.rmmod(module)


def test_frames_are_counted_in_memory(k, loaded):
    _, module = loaded
    p = k.user()
    fd = p.open("/dev/ehci")
    before = p.ioctl(fd, 0)
    k.advance(0.02)
    assert p.ioctl(fd, 0) - before in range(19, 22)
    p.close(fd)
    k.rmmod(module)


def test_nothing_stays_in_the_pools(k, loaded):
    _, module = loaded
    p = k.user()
    fd = p.open("/dev/ehci")
    for n in range(40):
        p.write(fd, pattern(1500, n))
        assert p.read(fd, 1500) == pattern(1500, n)
    assert [module.hcd.qh_pool.in_use, module.hcd.qtd_pool.in_use, module.hcd.itd_pool.in_use] == [1, 0, 1]
    p.close(fd)
    k.rmmod(module)


def test_sizes_that_can_not_be(k, loaded):
    _, module = loaded
    p = k.user()
    fd = p.open("/dev/ehci")
    with pytest.raises(OSError) as refused:
        p.write(fd, pattern(ehci.MAX_BYTES + 1))
    assert refused.value.errno == errno.EINVAL
    p.close(fd)
    k.rmmod(module)


def test_every_call_that_can_fail_fails_once():
    for nth in range(1, 120):
        with kmock.boot() as k:
            Ehci().plug(k)
            k.faults.fail_nth(nth)
            p = k.user()
            with suppress(OSError):
                module = k.insmod(DRIVER)
                with suppress(OSError):
                    fd = p.open("/dev/ehci")
                    p.write(fd, pattern(1200))
                    p.close(fd)
                k.rmmod(module)
            survived = k.faults.calls_left > 0
        assert [str(r) for r in k.reports.unexpected] == [], f"call {nth}"
        if survived:
            return
    pytest.fail("there is no end to the calls that can fail")
