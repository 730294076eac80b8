"""kmock's own frames are hidden from tracebacks, and its own faults are owned up to."""

from __future__ import annotations

import pytest

from kmock.plugin.frames import own_fault, without_kmock

BROKEN = """
    @pytest.fixture(autouse=True)
    def broken(kernel, monkeypatch):
        monkeypatch.setattr(type(kernel.slab), "kmalloc", lambda *args: {}["missing"])
        code = kernel.slab.kmalloc.__code__.replace(co_filename=kmock.machine.__file__)
        monkeypatch.setattr(kernel.slab.kmalloc.__func__, "__code__", code)
"""


def test_frames_of_kmock_are_hidden(suite):
    result = suite.run(
        """
        def test_it(kernel):
            with kernel.expect("slab-double-free"):
                scull_close(scull_open())
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">*with kernel.expect*", "E*AssertionError: expected a report of kind *"])
    assert "kmock/report.py" not in result.stdout.str()
    assert "contextlib.py" not in result.stdout.str()


def test_frames_of_kmock_are_there_for_who_asks(suite):
    result = suite.run(
        """
        def test_it(kernel):
            with kernel.expect("slab-double-free"):
                pass
        """,
        "--full-trace",
    )
    assert "kmock/report.py" in result.stdout.str()


def test_call_without_a_kernel_points_at_the_driver(suite):
    result = suite.run("def test_it(): scull_open()")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["scull.py:*: NoKernelError", "FAILED *NoKernelError: no kernel is runn*"])
    assert "_api.py" not in result.stdout.str()


def test_call_with_wrong_arguments_is_the_drivers_fault(suite):
    result = suite.run("def test_it(kernel): kmalloc()")
    result.stdout.fnmatch_lines(["*TypeError: kmalloc() missing 2 required positional arguments*"])
    result.stdout.no_fnmatch_line("*internal error*")


def test_fault_of_kmock_is_a_failed_test_that_says_so(suite):
    result = suite.run(
        """
        def test_it(kernel, monkeypatch):
            monkeypatch.setattr(kernel, "slab", None)
            scull_open()

        def test_next(kernel): scull_close(scull_open())
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E   kmock internal error: AttributeError: *",
            "kmock internal error: this is a mistake in kmock, not in your driver. Please report it with what follows.",
            "Traceback (most recent call last):",
            "  File *, in scull_open",
            "  File *kmock/linux/slab.py*",
            "FAILED test_scull.py::test_it - kmock internal error: AttributeError: *",
        ]
    )
    assert "_pytest" not in result.stdout.str()


def test_fault_in_the_census_leaves_the_findings_visible(suite):
    result = suite.run(
        """
        def test_it(kernel, monkeypatch):
            scull_close_twice(scull_open())
            kernel.census.kernel = None
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   kmock internal error: *", "*- kmock reports -*", "slab-double-free: *"])


def test_fault_in_rendering_is_told_in_the_report(suite, monkeypatch):
    monkeypatch.setattr("kmock.plugin.outcome.render", lambda *args, **options: 1 / 0)
    result = suite.run("def test_it(kernel): scull_open()")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["kmock internal error: *", "ZeroDivisionError: *"])


def test_unknown_kind_in_expect_is_what_kmock_meant_to_say(kernel):
    with (
        pytest.raises(ValueError, match="did you mean 'slab-double-free'") as caught,
        kernel.expect("slab-dobule-free"),
    ):
        pass
    assert own_fault(caught.value) is None


def test_causes_are_pruned_too(kernel):
    try:
        try:
            kernel.expect("nonsense").__enter__()
        except ValueError as error:
            raise OSError("wrapped") from error
    except OSError as error:
        names = []
        entry = without_kmock(error).__cause__.__traceback__
        while entry is not None:
            names.append(entry.tb_frame.f_code.co_filename)
            entry = entry.tb_next
    assert names == [__file__]
