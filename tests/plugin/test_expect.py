"""``@pytest.mark.expect_report``: what is announced is accepted, and must come."""

from __future__ import annotations

import pytest


def test_announced_report_is_accepted(suite):
    result = suite.run(
        """
        @pytest.mark.expect_report("slab-double-free")
        def test_it(kernel): scull_close_twice(scull_open())
        """
    )
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*kmock:*")


def test_announced_report_must_come(suite):
    result = suite.run(
        """
        @pytest.mark.expect_report("slab-double-free")
        def test_it(kernel): pass
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E   expected a report of kind 'slab-double-free', but none came (nothing was reported)"]
    )


@pytest.mark.parametrize(("count", "outcome"), [(2, {"passed": 1}), (1, {"failed": 1})])
def test_count(suite, count, outcome):
    result = suite.run(
        f"""
        @pytest.mark.expect_report("slab-double-free", count={count})
        def test_it(kernel):
            scull_close_twice(scull_open())
            scull_close_twice(scull_open())
        """
    )
    result.assert_outcomes(**outcome)


def test_another_report_still_fails_the_test(suite):
    result = suite.run(
        """
        @pytest.mark.expect_report("slab-double-free")
        def test_it(kernel):
            scull_close_twice(scull_open())
            scull_open()
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   leak-unreachable: *"])
    result.stdout.no_fnmatch_line("E   slab-double-free: *")


def test_families_and_several_markers(suite):
    result = suite.run(
        """
        @pytest.mark.expect_report("leak-*")
        @pytest.mark.expect_report("slab-*")
        def test_it(kernel):
            scull_close_twice(scull_open())
            scull_open()
        """
    )
    result.assert_outcomes(passed=1)


def test_announced_leak_of_a_fixture_may_come_when_it_ends(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel): return scull_open()

        @pytest.mark.expect_report("leak-*")
        def test_it(dev): pass

        @pytest.mark.expect_report("leak-*")
        def test_none(kernel): pass
        """
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["E   expected a report of kind 'leak-*', but none came *"])


def test_announced_oops_may_end_the_test(suite):
    result = suite.run(
        """
        @pytest.mark.expect_report("null-deref")
        def test_it(kernel):
            dev = scull_open()
            NULL[3]
        """
    )
    result.assert_outcomes(passed=1)


def test_genuine_failure_is_not_drowned_by_an_announcement(suite):
    result = suite.run(
        """
        @pytest.mark.expect_report("slab-double-free")
        def test_it(kernel): assert False, "before anything happened"
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*AssertionError: before anything happened"])
    result.stdout.no_fnmatch_line("*expected a report*")
