"""The scull drivers under real traffic, with memory and without."""

from __future__ import annotations

import os
import struct

import pytest

import kmock
from sample_drivers import scull_core as core

SMALL = {
    "scull": {"scull_quantum": 100, "scull_qset": 4},
    "scullc": {"scullc_quantum": 100, "scullc_qset": 4},
    "scullp": {"scullp_qset": 2},
    "scullv": {"scullv_order": 1, "scullv_qset": 2},
}
QUANTUM = {"scull": 100, "scullc": 100, "scullp": 4096, "scullv": 8192}


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


@pytest.fixture
def module(k, name):
    found = k.insmod(f"sample_drivers.{name}", **SMALL[name])
    yield found
    for process in k.processes[:]:
        process.exit()
    k.rmmod(found)


@pytest.fixture
def p(k, module):
    return k.user()


def write_all(p, fd, data):
    done = 0
    while done < len(data):
        done += p.write(fd, data[done:])


def read_all(p, fd, piece=1 << 20):
    found = b""
    while data := p.read(fd, piece):
        found += data
    return found


def test_many_quanta_and_sets(p, name):
    fd = p.open(f"/dev/{name}0")
    data = os.urandom(QUANTUM[name] * 11 + 7)
    write_all(p, fd, data)
    p.lseek(fd, 0)
    assert read_all(p, fd) == data
    p.lseek(fd, 3)
    assert read_all(p, fd, piece=33) == data[3:]


def test_a_call_moves_one_quantum_at_most(p, name):
    fd = p.open(f"/dev/{name}1")
    n = QUANTUM[name]
    assert p.write(fd, bytes(n + 50)) == n
    assert p.pwrite(fd, bytes(50), n - 10) == 10
    p.lseek(fd, n - 1)
    assert len(p.read(fd, 50)) == 1


def test_devices_are_separate(p, name):
    a, b = p.open(f"/dev/{name}0"), p.open(f"/dev/{name}1")
    p.write(a, b"first")
    p.write(b, b"second")
    assert p.pread(a, 10, 0) == b"first"
    assert p.pread(b, 10, 0) == b"second"


def test_opening_for_writing_only_empties(p, name):
    path = f"/dev/{name}0"
    fd = p.open(path)
    write_all(p, fd, bytes(QUANTUM[name] * 3))
    p.close(fd)
    p.close(p.open(path, os.O_RDONLY))
    assert p.lseek(p.open(path), 0, os.SEEK_END) == QUANTUM[name] * 3
    p.close(p.open(path, os.O_WRONLY))
    assert read_all(p, p.open(path)) == b""


def test_seeking(p, name):
    fd = p.open(f"/dev/{name}0")
    p.write(fd, b"0123456789")
    assert p.lseek(fd, -4, os.SEEK_END) == 6
    assert p.read(fd, 2) == b"67"
    assert p.lseek(fd, -2, os.SEEK_CUR) == 6
    for offset, whence in ((-1, os.SEEK_SET), (0, 7)):
        with pytest.raises(OSError, match="Invalid argument"):
            p.lseek(fd, offset, whence)


def test_what_lies_before_a_far_write_reads_as_zeroes_or_not_at_all(p, name):
    fd = p.open(f"/dev/{name}0")
    p.pwrite(fd, b"x", QUANTUM[name] * 3 + 20)
    assert p.pread(fd, 10, 0) == b""  # a hole ends the read
    assert p.pread(fd, 21, QUANTUM[name] * 3) == bytes(20) + b"x"


def test_a_bad_buffer(p, name):
    fd = p.open(f"/dev/{name}0")
    p.write(fd, b"0123456789")
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        p.ioctl(fd, 0x5401)
    with pytest.raises(OSError, match="Bad address"):
        p.ioctl(fd, core.SCULL_IOCGQUANTUM, 8)


def test_ioctl_by_pointer_and_by_value(p, name):
    fd = p.open(f"/dev/{name}0")
    arg = p.buffer(4)
    assert p.ioctl(fd, core.SCULL_IOCGQUANTUM, arg) == 0
    assert struct.unpack("<I", p.load(arg, 4)) == (QUANTUM[name],)
    assert p.ioctl(fd, core.SCULL_IOCQQUANTUM) == QUANTUM[name]
    p.ioctl(fd, core.SCULL_IOCRESET)
    p.ioctl(fd, core.SCULL_IOCXQUANTUM, arg)
    assert struct.unpack("<I", p.load(arg, 4)) == (QUANTUM[name],)


@pytest.mark.parametrize("name", ["scull"])
def test_the_quantum_of_scull_changes_with_the_next_trim(p, name):
    fd = p.open("/dev/scull0")
    write_all(p, fd, bytes(500))
    assert p.ioctl(fd, core.SCULL_IOCHQUANTUM, 333) == 100
    p.ioctl(fd, core.SCULL_IOCSQUANTUM, p.buffer(struct.pack("<I", 250)))
    assert p.pwrite(fd, bytes(500), 0) == 100
    p.close(p.open("/dev/scull0", os.O_WRONLY))
    assert p.pwrite(fd, bytes(500), 0) == 250
    with pytest.raises(OSError, match="Invalid argument"):
        p.ioctl(fd, core.SCULL_IOCTQUANTUM, 0)


@pytest.mark.parametrize("name", ["scullc", "scullp"])
def test_the_quantum_of_the_others_does_not(p, name):
    fd = p.open(f"/dev/{name}0")
    with pytest.raises(PermissionError):
        p.ioctl(fd, core.SCULL_IOCTQUANTUM, 333)


@pytest.mark.parametrize("nth", range(1, 9))
def test_every_call_of_a_write_may_fail(k, p, name, nth):
    fd = p.open(f"/dev/{name}0")
    k.faults.fail_nth(nth)
    failed = False
    try:
        p.pwrite(fd, b"x" * 50, QUANTUM[name] * 9)
    except OSError as error:
        assert error.strerror in {"Cannot allocate memory", "Bad address"}
        failed = True
    assert failed == (k.faults.calls_left == 0)
    k.faults.fail_nth(0)
    p.pwrite(fd, b"after", 0)
    assert p.pread(fd, 5, 0) == b"after"


@pytest.mark.parametrize("nth", range(1, 9))
def test_every_call_of_init_may_fail(k, name, nth):
    k.faults.fail_nth(nth)
    try:
        module = k.insmod(f"sample_drivers.{name}", **SMALL[name])
    except OSError as error:
        assert error.strerror == "Cannot allocate memory"
    else:
        assert nth > 6
        k.rmmod(module)
    k.faults.fail_nth(0)


@pytest.mark.parametrize(
    ("name", "params"),
    [("scull", {"scull_quantum": 0}), ("scullc", {"scullc_devs": 0}), ("scullp", {"scullp_order": -1})],
)
def test_nonsense_is_refused(k, name, params):
    with pytest.raises(OSError, match="Invalid argument"):
        k.insmod(f"sample_drivers.{name}", **params)


def test_a_major_of_ones_own(k):
    module = k.insmod("sample_drivers.scull", scull_major=240, scull_nr_devs=1)
    fd = k.user().open("/dev/scull0")
    assert fd == 3
    with pytest.raises(OSError, match="busy"):
        k.rmmod(module)


def test_three_at_once(k):
    modules = [k.insmod(f"sample_drivers.{name}") for name in SMALL]
    p = k.user()
    for name in SMALL:
        write_all(p, p.open(f"/dev/{name}3"), bytes(10_000))
    p.exit()
    for module in modules:
        k.rmmod(module)
