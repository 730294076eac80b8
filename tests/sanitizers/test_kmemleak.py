"""The leak detector: annotations, the file, and what is said of mistakes with them."""

from __future__ import annotations

import errno

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL, get_zeroed_page
from kmock.linux.kmemleak import (
    kmemleak_alloc,
    kmemleak_free,
    kmemleak_ignore,
    kmemleak_no_scan,
    kmemleak_not_leak,
    kmemleak_scan_area,
)
from kmock.linux.slab import kzalloc
from kmock.linux.types import Ptr
from kmock.sanitizers.kmemleak import checksum

FILE = "/sys/kernel/debug/kmemleak"


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def scan(k, seconds=6):
    k.advance(seconds)
    k.write_file(FILE, "scan")
    return k.read_file(FILE)


def lose():
    return int(kzalloc(64, GFP_KERNEL))


class TestScan:
    def test_a_lost_object_is_reported_and_shown(self, k):
        a = lose()
        text = scan(k)
        assert text.startswith(f"unreferenced object {a:#x} (size 64):\n")
        assert '  comm "test", pid 101, jiffies ' in text
        assert [r.kind for r in k.reports] == ["leak-unreachable"]
        assert "kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)" in k.dmesg()

    def test_it_is_not_reported_again_at_the_end(self, k):
        lose()
        scan(k)
        k.shutdown()
        assert len(k.reports) == 1

    def test_once_found_again_it_is_no_longer_shown(self, k):
        a = lose()
        scan(k)
        found = Ptr(a)
        assert scan(k) == ""
        assert found

    def test_no_scan_hides_what_an_object_points_to(self, k):
        holder = kzalloc(64, GFP_KERNEL)
        a = lose()
        holder.u64[0] = a
        assert scan(k) == ""
        kmemleak_no_scan(holder)
        assert f"{a:#x}" in scan(k)

    def test_a_registered_page_may_be_forgotten(self, k):
        page = int(get_zeroed_page(GFP_KERNEL))
        kmemleak_alloc(Ptr(page), 4096, 1, GFP_KERNEL)
        assert f"{page:#x} (size 4096)" in scan(k)
        kmemleak_free(Ptr(page))
        assert scan(k) == ""


class TestMistakes:
    @pytest.mark.parametrize(
        ("annotate", "said"),
        [
            (kmemleak_not_leak, "Trying to color unknown object as Grey at 0x00001000"),
            (kmemleak_ignore, "Trying to color unknown object as Black at 0x00001000"),
            (kmemleak_no_scan, "Not scanning unknown object at 0x00001000"),
            (lambda p: kmemleak_scan_area(p, 8, GFP_KERNEL), "Adding scan area to unknown object at 0x00001000"),
        ],
    )
    def test_an_unknown_object(self, k, annotate, said):
        annotate(Ptr(0x1000))
        assert f"kmemleak: {said}" in k.dmesg()

    def test_an_address_inside_an_object(self, k):
        p = kzalloc(64, GFP_KERNEL)
        kmemleak_not_leak(p + 8)
        assert f"kmemleak: Found object by alias at {int(p) + 8:#x}" in k.dmesg()


class TestFile:
    @pytest.mark.parametrize("text", ["nonsense", "dump=xyz", "dump=0x10", "clear=1"])
    def test_nonsense_is_refused(self, k, text):
        with pytest.raises(OSError) as refusal:
            k.write_file(FILE, text)
        assert refusal.value.errno == errno.EINVAL

    @pytest.mark.parametrize("text", ["scan=on", "scan=off", "scan=600", "stack=on", "stack=off", "clear"])
    def test_settings_are_taken(self, k, text):
        k.write_file(FILE, text)
        assert k.read_file(FILE) == ""

    def test_off_is_for_good(self, k):
        k.write_file(FILE, "off")
        with pytest.raises(OSError) as refusal:
            k.write_file(FILE, "scan")
        assert refusal.value.errno == errno.EPERM


def test_the_checksum_of_zeroes_is_zero():
    assert checksum(bytes(64)) == 0
    assert checksum(b"\x01" + bytes(63)) != 0
