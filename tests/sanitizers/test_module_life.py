"""How modules come and go: what an init returns, whether it works again, what an exit allocates and frees."""

from __future__ import annotations

import errno
import textwrap

import pytest

import kmock

DRIVER = """
    from kmock.linux.module import *
    from kmock.linux.slab import *

    result = 0
    exits = None
    module_param("result", int, 0)
    buffer = None

    def start():
        global buffer
        buffer = kmalloc(32, GFP_KERNEL)
        if not buffer:
            return -12
        if result:
            kfree(buffer)
        return result

    def stop():
        if exits:
            exits()
        kfree(buffer)

    module_init(start)
    module_exit(stop)
    MODULE_LICENSE("GPL")
"""


@pytest.fixture
def driver(tmp_path):
    path = tmp_path / "drv.py"
    path.write_text(textwrap.dedent(DRIVER))
    return path


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def kinds(k):
    return [report.kind for report in k.reports]


def fails(k, driver, number, **params):
    with pytest.raises(OSError) as caught:
        k.insmod(driver, **params)
    assert caught.value.errno == number


class TestAgain:
    def test_what_never_worked_need_not_work_now(self, k, driver):
        fails(k, driver, errno.EBUSY, result=-errno.EBUSY)
        fails(k, driver, errno.EBUSY, result=-errno.EBUSY)
        assert kinds(k) == []

    def test_other_parameters_are_another_load(self, k, driver):
        k.rmmod(k.insmod(driver))
        fails(k, driver, errno.EBUSY, result=-errno.EBUSY)
        assert kinds(k) == []

    def test_a_failure_that_was_injected_is_none(self, k, driver):
        k.rmmod(k.insmod(driver))
        k.faults.fail_nth(1)
        fails(k, driver, errno.ENOMEM)
        k.rmmod(k.insmod(driver))
        assert kinds(k) == []

    def test_after_an_injected_failure_it_ought_to_work(self, k, driver):
        k.faults.fail_nth(1)
        fails(k, driver, errno.ENOMEM)
        driver.write_text(driver.read_text().replace("result = 0", "result = -16"))
        fails(k, driver, errno.EBUSY)
        assert kinds(k) == ["probe-retry-fails"]
        assert "returned -16" in k.reports[0].lines[0]


class TestExit:
    def test_allocating_is_reported_once_for_each_call(self, k, driver):
        driver.write_text(
            driver.read_text()
            + "\ndef exits():\n    kfree(kmalloc(8, GFP_KERNEL))\n    kfree(kmalloc(8, GFP_KERNEL))\n"
        )
        k.rmmod(k.insmod(driver))
        assert kinds(k) == ["alloc-during-exit"]
        assert len(k.reports[0].followed_by) == 1

    def test_calls_are_not_looked_at_afterwards(self, k, driver):
        k.rmmod(k.insmod(driver))
        assert not k.vetting

    def test_what_the_exit_itself_touches_is_a_plain_use_after_free(self, k, driver):
        driver.write_text(
            driver.read_text().replace("kfree(buffer)\n\nmodule", "kfree(buffer)\n    buffer[0]\n\nmodule")
        )
        k.rmmod(k.insmod(driver))
        assert kinds(k) == ["slab-use-after-free-read"]

    def test_what_is_touched_later_was_not_stopped(self, k, driver):
        module = k.insmod(driver)
        k.rmmod(module)
        module.buffer[0] = 1
        assert kinds(k) == ["use-after-remove"]


@pytest.mark.parametrize("result", [1, -1])
def test_odd_results_are_worth_an_advice(driver, result):
    with kmock.boot(lint=True) as k:
        try:
            module = k.insmod(driver, result=result)
        except OSError as error:
            assert error.errno == errno.EPERM
        else:
            module.image.module.buffer = None
        assert kinds(k) == ["error-code-changed"]
