"""What a system call fetched from its process: lengths that nobody bounded, and bytes that were read twice."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.errno import EFAULT, EINVAL
from kmock.linux.fs import file_operations
from kmock.linux.minmax import min
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u8, u32
from kmock.linux.uaccess import copy_from_user, get_user


class message(Struct):
    length: u32
    data: u8 * 60


def twice(arg):
    err, n = get_user(arg, u32)
    err, again = get_user(arg, u32)
    return -EFAULT if err else n - again


def twice_and_compared(arg):
    err, n = get_user(arg, u32)
    err, again = get_user(arg, u32)
    if n != again:
        return -EINVAL
    return -EFAULT if err else 0


def twice_and_bounded(arg):
    err, n = get_user(arg, u32)
    err, again = get_user(arg, u32)
    again = min(again, 60)
    return -EFAULT if err else again - n


def header_then_whole(arg):
    head = bytearray(4)
    if copy_from_user(head, arg, 4):
        return -EFAULT
    msg = message()
    if copy_from_user(msg, arg, 4 + head[0]):
        return -EFAULT
    return msg.length - head[0]


def header_then_whole_checked(arg):
    head = bytearray(4)
    if copy_from_user(head, arg, 4):
        return -EFAULT
    msg = message()
    if copy_from_user(
        msg,
        arg,
        4 + head[0],
    ):
        return -EFAULT
    return -EINVAL if msg.length != head[0] else 0


def header_then_rest(arg):
    head = message()
    if copy_from_user(head, arg, 4):
        return -EFAULT
    body = bytearray(60)
    return -EFAULT if copy_from_user(body, arg + 4, head.length) else 0


def byte_by_byte(arg):
    return max(get_user(arg + i)[0] for i in range(8))


def polled(arg):
    for _ in range(3):
        err, ready = get_user(arg, u32)
        if err or not ready:
            return -EFAULT
    return 0


def fails_after(arg):
    _err, _n = get_user(arg, u32)
    _err, _n = get_user(arg, u32)
    return -EINVAL


def play(k, handler, data=b"\4\0\0\0abcdefgh"):
    misc_register(miscdevice(name="dev", fops=file_operations(unlocked_ioctl=lambda f, cmd, arg: handler(arg))))
    p = k.user()
    return p.ioctl(p.open("/dev/dev"), 1, p.buffer(data))


@pytest.mark.parametrize("handler", [twice, header_then_whole])
def test_a_double_fetch_is_told_of_once(handler):
    with kmock.boot() as k, k.expect("user-double-fetch", count=1) as found:
        assert play(k, handler) == 0
    assert found[0].where.function == handler.__name__
    assert "4 bytes" in found[0].lines[0]


@pytest.mark.parametrize(
    "handler",
    [twice_and_compared, twice_and_bounded, header_then_whole_checked, header_then_rest, byte_by_byte, polled],
)
def test_what_is_checked_or_fetched_once_is_no_double_fetch(handler):
    with kmock.boot() as k:
        assert play(k, handler) == 0
    assert not k.reports


def test_a_call_that_fails_relied_on_nothing():
    with kmock.boot() as k, pytest.raises(OSError, match="Invalid argument"):
        play(k, fails_after)
    assert not k.reports


class TestLengths:
    @pytest.fixture
    def k(self):
        with kmock.boot() as k:
            yield k
        assert not k.reports.unexpected

    def test_a_length_that_was_fetched(self, k):
        def handler(arg):
            err, n = get_user(arg, u32)
            small = kzalloc(32, GFP_KERNEL)
            left = copy_from_user(small, arg + 4, n)
            kfree(small)
            return -EFAULT if err or left else 0

        with k.expect("usercopy-size-unchecked", count=1) as found:
            assert play(k, handler, (40).to_bytes(4, "little") + bytes(60)) == 0
        assert found[0].is_a("usercopy-overflow-object")

    def test_a_length_that_is_the_argument(self, k):
        misc_register(miscdevice(name="dev", fops=file_operations(unlocked_ioctl=lambda f, cmd, arg: fill(arg))))
        p = k.user()
        source = p.buffer(100)

        def fill(n):
            return copy_from_user(bytearray(32), source, n) and -EFAULT

        with k.expect("usercopy-size-unchecked"), pytest.raises(OSError, match="Bad address"):
            p.ioctl(p.open("/dev/dev"), 1, 100)

    def test_a_length_of_the_drivers_own_is_not_the_process_fault(self, k):
        def handler(arg):
            small = kzalloc(32, GFP_KERNEL)
            left = copy_from_user(small, arg, 48)
            kfree(small)
            return -EFAULT if left else 0

        with k.expect("usercopy-overflow-object") as found:
            play(k, handler, bytes(60))
        assert found[0].kind == "usercopy-overflow-object"
