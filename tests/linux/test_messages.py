"""What <linux/printk.h> and <linux/dev_printk.h> write, and how often."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from kmock.linux import dev_printk, printk
from kmock.linux.dev_printk import dev_dbg, dev_WARN
from kmock.linux.printk import dump_stack, pr_cont, pr_info, printk_ratelimit

DEVICE = SimpleNamespace(init_name="frob.0", driver=SimpleNamespace(name="frobber"))
BURST = 10

LEVELS = ["pr_emerg", "pr_alert", "pr_crit", "pr_err", "pr_warn", "pr_notice", "pr_info", "printk"]
DEVICE_LEVELS = ["dev_emerg", "dev_alert", "dev_crit", "dev_err", "dev_warn", "dev_notice", "dev_info"]
ONCE = ["printk_once", "pr_err_once", "pr_warn_once", "pr_notice_once", "pr_info_once"]
DEVICE_ONCE = ["dev_err_once", "dev_warn_once", "dev_info_once"]
LIMITED = [
    "printk_ratelimited",
    "pr_err_ratelimited",
    "pr_warn_ratelimited",
    "pr_notice_ratelimited",
    "pr_info_ratelimited",
]
DEVICE_LIMITED = ["dev_err_ratelimited", "dev_warn_ratelimited", "dev_info_ratelimited"]


CALLS = {name: getattr(printk, name) for name in LEVELS + ONCE + LIMITED} | {
    name: partial(getattr(dev_printk, name), DEVICE) for name in DEVICE_LEVELS + DEVICE_ONCE + DEVICE_LIMITED
}


def lines(kernel, text):
    return [line for line in kernel.dmesg().splitlines() if text in line]


@pytest.mark.parametrize("name", LEVELS + DEVICE_LEVELS)
def test_a_message_of_every_level_is_logged_each_time(kernel, name):
    for n in range(2):
        CALLS[name]("value %d\n", n)
    logged = lines(kernel, "value")
    assert [line.rpartition("value ")[2] for line in logged] == ["0", "1"]
    assert all("frobber frob.0: value" in line for line in logged) == name.startswith("dev")


@pytest.mark.parametrize("name", ONCE + DEVICE_ONCE)
def test_once_means_once_per_line(kernel, name):
    for _ in range(3):
        CALLS[name]("first\n")
    CALLS[name]("second\n")
    assert len(lines(kernel, "first")) == 1
    assert len(lines(kernel, "second")) == 1


@pytest.mark.parametrize("name", LIMITED + DEVICE_LIMITED)
def test_a_limited_message_comes_ten_times_in_five_seconds(kernel, name):
    def flood():
        for _ in range(BURST + 5):
            CALLS[name]("flood\n")

    flood()
    assert len(lines(kernel, "flood")) == BURST
    kernel.advance(6)
    flood()
    assert len(lines(kernel, "flood")) == 2 * BURST


def test_printk_ratelimit_counts_its_own_line(kernel):
    assert [printk_ratelimit() for _ in range(BURST + 1)] == [1] * BURST + [0]


def test_a_line_goes_on(kernel):
    pr_info("begun")
    pr_cont(", ended\n")
    assert len(lines(kernel, "begun, ended")) == 1


def test_debug_messages_are_compiled_out(kernel):
    assert dev_dbg(DEVICE, "unseen\n") == 0
    assert lines(kernel, "unseen") == []


def test_a_warning_names_the_device(kernel):
    with kernel.expect("driver-warning") as found:
        dev_WARN(DEVICE, "queue %d stuck\n", 3)
    assert len(found) == 1
    assert len(lines(kernel, "frobber frob.0: queue 3 stuck")) == 1


def test_the_trace_shows_who_called(kernel):
    def culprit():
        dump_stack()

    culprit()
    assert lines(kernel, "Call Trace:")
    assert lines(kernel, "culprit")
