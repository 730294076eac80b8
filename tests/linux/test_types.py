"""The small headers: err, kernel, overflow, bug, printk."""

from __future__ import annotations

import importlib
import types

import pytest

import kmock
from kmock.linux.bits import BIT, BIT_MASK, BIT_WORD, GENMASK
from kmock.linux.bug import BUG, WARN, WARN_ON, WARN_ON_ONCE, WARN_ONCE, panic
from kmock.linux.build_bug import BUILD_BUG_ON, static_assert
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.dev_printk import dev_err, dev_err_probe, dev_info
from kmock.linux.err import ERR_PTR, IS_ERR, IS_ERR_OR_NULL, IS_ERR_VALUE, PTR_ERR, PTR_ERR_OR_ZERO
from kmock.linux.errno import EINVAL, ENOMEM
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.kernel import (
    ALIGN,
    ALIGN_DOWN,
    ARRAY_SIZE,
    DIV_ROUND_UP,
    IS_ALIGNED,
    clamp,
    lower_32_bits,
    max_t,
    min_t,
    round_down,
    round_up,
    roundup,
    swap,
    upper_32_bits,
)
from kmock.linux.math import DIV_ROUND_CLOSEST
from kmock.linux.minmax import min_not_zero
from kmock.linux.overflow import (
    SIZE_MAX,
    array_size,
    check_add_overflow,
    check_mul_overflow,
    size_add,
    size_mul,
    size_sub,
    struct_size,
)
from kmock.linux.printk import (
    DUMP_PREFIX_OFFSET,
    KERN_CONT,
    KERN_ERR,
    pr_debug,
    pr_err,
    pr_err_ratelimited,
    pr_info_once,
    print_hex_dump,
    printk,
)
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import NULL, Ptr, Struct, u8, u16, u32


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


HEADERS = """
    align bits bug build_bug compiler container_of dev_printk err errno export kernel kmemleak kstrtox limits list
    math minmax overflow poison printk sizes string types
""".split()  # noqa: SIM905 -- a list of names reads best as words


@pytest.mark.parametrize("name", HEADERS)
def test_every_header_offers_what_it_says(name):
    header = importlib.import_module(f"kmock.linux.{name}")
    assert list(header.__all__) == sorted(set(header.__all__), key=header.__all__.index)
    assert all(hasattr(header, each) for each in header.__all__)
    own = {
        each
        for each, value in vars(header).items()
        if isinstance(value, types.FunctionType) and value.__module__ == header.__name__ and not each.startswith("_")
    }
    assert own <= set(header.__all__) | {"header_getattr", "cast"}


class TestErr:
    def test_round_trip(self):
        p = ERR_PTR(-ENOMEM)
        assert (IS_ERR(p), PTR_ERR(p), PTR_ERR_OR_ZERO(p)) == (True, -ENOMEM, -ENOMEM)
        assert isinstance(p, Ptr)
        assert p

    def test_what_is_none(self):
        assert not IS_ERR(NULL)
        assert not IS_ERR(Ptr(0xFFFF888000000000))
        assert not IS_ERR(object())
        assert IS_ERR_OR_NULL(NULL)
        assert IS_ERR_OR_NULL(None)
        assert PTR_ERR_OR_ZERO(object()) == 0
        assert IS_ERR_VALUE(-4095)
        assert not IS_ERR_VALUE(-4096)

    def test_a_failed_allocation_is_null_not_an_errno(self, k):
        k.faults.fail_nth(1)
        p = kmalloc(64, GFP_KERNEL)
        with k.expect("slab-err-test-mismatch", count=1):
            assert not IS_ERR(p)


class TestArithmetic:
    def test_rounding(self):
        assert (ALIGN(5, 4), ALIGN_DOWN(5, 4), IS_ALIGNED(8, 4)) == (8, 4, True)
        assert (round_up(5, 4), round_down(5, 4), roundup(7, 3), DIV_ROUND_UP(7, 3)) == (8, 4, 9, 3)
        assert DIV_ROUND_CLOSEST(7, 2) == 4
        assert isinstance(ALIGN(Ptr(0x1001), 16), Ptr)

    def test_choosing(self):
        assert (min_t(u8, 256, 5), max_t(u16, 70000, 5), clamp(7, 1, 5), min_not_zero(0, 4)) == (0, 4464, 5, 4)
        assert swap(1, 2) == (2, 1)

    def test_bits(self):
        assert (BIT(3), GENMASK(7, 4), BIT_MASK(65), BIT_WORD(65)) == (8, 0xF0, 2, 1)
        assert (upper_32_bits(1 << 33), lower_32_bits((1 << 33) + 1)) == (2, 1)
        with pytest.raises(AssertionError, match="high bit"):
            GENMASK(0, 1)

    def test_overflow(self):
        assert check_add_overflow(SIZE_MAX, 1) == (True, 0)
        assert check_mul_overflow(6, 7, 32) == (False, 42)
        assert (size_add(SIZE_MAX, 1), size_mul(1 << 40, 1 << 40), size_sub(1, 2)) == (SIZE_MAX,) * 3
        assert array_size(3, 4) == 12

    def test_struct_size(self):
        class row(Struct):
            n: u32
            cells: u16[0]

        assert struct_size(row, "cells", 5) == 14
        assert struct_size(row, "cells", SIZE_MAX) == SIZE_MAX

    def test_arrays_and_marked_accesses(self, k):
        class row(Struct):
            n: u32
            cells: u16[4]

        r = row()
        WRITE_ONCE(r, "n", 5)
        WRITE_ONCE(r.cells, 1, 6)
        assert (READ_ONCE(r.n), r.cells[1], ARRAY_SIZE(r.cells)) == (5, 6, 4)

    def test_the_compiler_is_asked(self):
        BUILD_BUG_ON(condition=False)
        with pytest.raises(AssertionError, match="too small"):
            static_assert(False, "too small")


class TestBug:
    def test_a_warning_names_the_drivers_line(self, k):
        assert WARN_ON(5) is True
        assert WARN_ON(0) is False
        (report,) = k.reports
        assert report.kind == "driver-warning"
        assert report.headline.startswith("WARNING: CPU: 0 PID: ")
        assert f" at {report.where.short} test_a_warning_names_the_drivers_line+" in report.headline

    def test_a_text_comes_first(self, k):
        WARN(1, "value %d\n", 7)
        assert k.reports[0].headline == "value 7"

    def test_once_is_once_for_each_line(self, k):
        for _ in range(3):
            assert WARN_ON_ONCE(1)
            WARN_ONCE(1, "again")
        assert len(k.reports) == 2

    def test_the_end(self, k):
        with pytest.raises(kmock.KernelOops) as oops:
            BUG()
        assert oops.value.report.headline.startswith("kernel BUG at ")
        with pytest.raises(kmock.KernelPanic, match="not syncing: all is lost: 7"):
            panic("all is lost: %d", 7)


class TestLog:
    def test_messages(self, k):
        assert printk(KERN_ERR + "a %s\n", "b") == 4
        pr_err("c")
        printk(KERN_CONT + "d")
        pr_debug("never")
        assert [line.partition("] ")[2] for line in k.dmesg().splitlines()] == ["a b", "cd"]

    def test_once_and_now_and_then(self, k):
        for _ in range(20):
            pr_info_once("once")
            pr_err_ratelimited("often")
        assert k.dmesg().count("once") == 1
        assert k.dmesg().count("often") == 10
        k.advance(6)
        for _ in range(20):
            pr_err_ratelimited("often")
        assert k.dmesg().count("often") == 20

    def test_devices_are_named(self, k):
        class device:
            init_name = "scull0"

        class driver:
            name = "scull"

        dev = device()
        dev.driver = driver()
        dev_info(dev, "is %d\n", 1)
        dev_err(None, "nobody")
        assert dev_err_probe(dev, -EINVAL, "no clock") == -EINVAL
        assert dev_err_probe(dev, -517, "later") == -517
        lines = [line.partition("] ")[2] for line in k.dmesg().splitlines()]
        assert lines == ["scull scull0: is 1", "(NULL device *): nobody", "scull scull0: error -EINVAL: no clock"]

    def test_hex_dumps(self, k):
        p = kmalloc(20, GFP_KERNEL)
        p[0:20] = b"0123456789abcdefghij"
        print_hex_dump("", "buf: ", DUMP_PREFIX_OFFSET, 16, 1, p, 20, ascii=True)
        kfree(p)
        assert "buf: 00000000: 30 31 32" in k.dmesg()
        assert k.dmesg().rstrip().endswith("ghij")
