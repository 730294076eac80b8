"""When a test passes, fails, errs or leaks, and what is said then."""

from __future__ import annotations

from tests.plugin.conftest import AGAIN, OPENED


def test_correct_driver_passes_and_nothing_is_said(suite):
    result = suite.run("def test_it(kernel): scull_close(scull_open())")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*kmock:*")


def test_leak_of_the_call_fails_the_test(suite):
    result = suite.run("def test_it(kernel): scull_open()")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   leak-unreachable: last pointer lost",
            "E   unreferenced object *",
            f"allocated here: scull.py:{OPENED} in scull_open",
            f"  > {OPENED} |     return kmalloc(64, GFP_KERNEL)  # opened",
            "      |            ^^^^^^^^^^^^^^^^^^^^^^^",
            "kmock: 1 finding in 1 test: leak-unreachable 1",
            f"FAILED test_scull.py::test_it - leak-unreachable: 64 bytes from scull.py:{OPENED} in*",
        ]
    )


def test_misuse_lets_the_driver_run_on_and_fails_the_test_at_its_end(suite):
    result = suite.run(
        """
        def test_it(kernel):
            scull_close_twice(scull_open())
            print("still here")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   slab-double-free: freed twice",
            "E   BUG: KASAN: double-free in __kmem_cache_free*",
            f"scull.py:{AGAIN} in scull_close_twice",
            "allocated here: scull.py:*",
            "freed here: scull.py:*",
            "object:  64 bytes at *, object of cache kmalloc-64*",
            "context: task test/*",
            "more:    --kmock-full *",
            "*still here",
        ]
    )


def test_no_python_traceback_where_the_test_itself_passed(suite):
    result = suite.run("def test_it(kernel): scull_close_twice(scull_open())")
    assert "Traceback" not in result.stdout.str()
    assert "kmock/plugin" not in result.stdout.str()
    assert "def test_it" not in result.stdout.str().split("context:")[1]


def test_every_finding_is_shown_and_counted(suite):
    result = suite.run(
        """
        def test_it(kernel):
            scull_close_twice(scull_open())
            scull_close_twice(scull_open())
            scull_open()
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   slab-double-free: *",
            "E   (1 of 3)",
            "E   slab-double-free: *",
            "E   (2 of 3)",
            "E   leak-unreachable: *",
            "E   (3 of 3)",
            "kmock: 3 findings in 1 test: slab-double-free 2, leak-unreachable 1",
            f"FAILED test_scull.py::test_it - slab-double-free: scull.py:{AGAIN} in scull_clo*",
        ]
    )


def test_what_fixtures_leave_behind_is_a_leak_of_its_own(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel):
            return scull_open()

        def test_it(dev): assert dev
        """,
        "-v",
    )
    assert result.parseoutcomes() == {"passed": 1, "leaked": 1}
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*::test_it LEAKED*",
            "*= LEAKS =*",
            "*_ LEFT BY FIXTURES of test_it _*",
            "E   leak-*",
            f"LEAKED test_scull.py::test_it - leak-*: 64 bytes from scull.py:{OPENED} in scull_open",
            "kmock: 1 finding in 1 test: leak-*",
        ]
    )


def test_leak_has_the_letter_L(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel):
            return scull_open()

        def test_it(dev): assert dev
        """
    )
    result.stdout.fnmatch_lines(["test_scull.py .L *"])


def test_fixture_that_cleans_up_after_the_call_leaks_nothing(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel):
            dev = scull_open()
            yield dev
            scull_close(dev)

        def test_it(dev): assert dev
        """
    )
    result.assert_outcomes(passed=1)


def test_misuse_in_a_fixtures_teardown_is_an_error(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel):
            dev = scull_open()
            yield dev
            scull_close_twice(dev)

        def test_it(dev): assert dev
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "E   slab-double-free: *"])


def test_misuse_in_a_fixtures_setup_fails_the_test(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel): scull_close_twice(scull_open())

        def test_it(dev): pass
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   slab-double-free: *"])


def test_failing_setup_is_shown_with_what_was_found_until_then(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel):
            scull_open()
            scull_close_twice(scull_open())
            raise OSError("no such device")

        def test_it(dev): pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*OSError: no such device", "*- kmock reports -*", "slab-double-free: *"])
    result.stdout.no_fnmatch_line("*leak-*")


def test_genuine_failure_comes_first_reports_follow_and_the_census_is_silent(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel): return scull_open()

        def test_it(dev):
            scull_open()
            scull_close_twice(scull_open())
            assert dev == 0, "the device is not zero"
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E       AssertionError: the device is not zero",
            "*- kmock reports -*",
            "slab-double-free: freed twice",
            "kmock: 1 finding in 1 test: slab-double-free 1",
            "FAILED test_scull.py::test_it - AssertionError: the device is not zero*",
        ]
    )
    result.stdout.no_fnmatch_line("*leak-*")


def test_skip_and_xfail_silence_the_census(suite):
    result = suite.run(
        """
        def test_skip(kernel):
            scull_open()
            pytest.skip("not on this board")

        def test_xfail(kernel):
            scull_open()
            pytest.xfail("known")
        """
    )
    result.assert_outcomes(skipped=1, xfailed=1)


def test_known_misuse_can_be_marked_xfail(suite):
    result = suite.run(
        """
        @pytest.mark.xfail(reason="known leak", strict=True)
        def test_it(kernel): scull_open()
        """
    )
    result.assert_outcomes(xfailed=1)


def test_oops_is_shown_as_its_report(suite):
    result = suite.run("def test_it(kernel): NULL[3]")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   null-deref: *",
            "E   BUG: *",
            "test_scull.py:* in test_it",
            "KernelOops: the test ends here, as the kernel would have ended its task.",
            "FAILED test_scull.py::test_it - null-deref: test_scull.py:* in test_it",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_deadlock_is_shown_as_its_report(suite):
    result = suite.run(
        """
        from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock

        def test_it(kernel):
            lock = DEFINE_MUTEX("lock")
            mutex_lock(lock)
            mutex_lock(lock)
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E   lock-recursive: *", "taken here: *", "Deadlock: the test ends here, since nothing is left that *"]
    )


def test_oops_of_a_machine_booted_by_hand_is_shown_in_the_same_way(suite):
    result = suite.run(
        """
        def test_it():
            with kmock.boot():
                NULL[3]
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   null-deref: *", "KernelOops: *"])


def test_oops_that_was_caught_is_still_a_finding(suite):
    result = suite.run(
        """
        def test_it(kernel):
            with pytest.raises(kmock.KernelOops): NULL[3]

        def test_expected(kernel):
            with kernel.expect("null-deref"), pytest.raises(kmock.KernelOops): NULL[3]
        """
    )
    result.assert_outcomes(failed=1, passed=1)


def test_expected_oops_that_is_not_caught_says_so(suite):
    result = suite.run(
        """
        def test_it(kernel):
            with kernel.expect("null-deref"): NULL[3]
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E   null-deref: *", "This was expected, * catch it with pytest.raises(kmock.KernelOops)."]
    )


def test_oops_silences_the_census(suite):
    result = suite.run(
        """
        def test_it(kernel):
            dev = scull_open()
            NULL[3]
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*leak-*")


def test_a_kernel_shut_down_by_the_test_is_judged_all_the_same(suite):
    result = suite.run(
        """
        def test_it(kernel):
            scull_open()
            kernel.shutdown()
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   leak-unreachable: *"])


def test_reports_know_their_phase(suite):
    result = suite.run(
        """
        phases = []

        @pytest.fixture
        def dev(kernel):
            with kernel.expect("slab-double-free") as found: scull_close_twice(scull_open())
            yield
            phases.append(found[0].phase)
            with kernel.expect("slab-double-free") as found: scull_close_twice(scull_open())
            phases.append(found[0].phase)

        def test_it(dev, kernel):
            with kernel.expect("slab-double-free") as found: scull_close_twice(scull_open())
            phases.append(found[0].phase)

        def test_phases(): assert phases == ["call", "setup", "teardown"]
        """
    )
    result.assert_outcomes(passed=2)


def test_nothing_of_one_test_is_seen_in_the_next(suite):
    result = suite.run(
        """
        def test_it(kernel): scull_open()

        def test_next(kernel): assert not kernel.reports
        """
    )
    result.assert_outcomes(failed=1, passed=1)


def test_machines_do_not_outlive_their_tests(suite, monkeypatch):
    # In a process of its own, since pytester remembers every exception.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = suite.run_apart(
        """
        import gc, weakref

        kernels = []

        def test_it(kernel): kernels.append(weakref.ref(kernel))

        def test_failing(kernel):
            kernels.append(weakref.ref(kernel))
            scull_close_twice(scull_open())

        def test_gone():
            gc.collect()
            assert [ref() for ref in kernels] == [None, None]
        """,
        "-pkmock.plugin",
    )
    result.assert_outcomes(passed=2, failed=1)


def test_reports_of_a_genuine_failure_do_not_hang_on_captured_output(suite):
    result = suite.run(
        """
        def test_it(kernel):
            scull_close_twice(scull_open())
            assert 0
        """,
        "--show-capture=no",
    )
    result.stdout.fnmatch_lines(["*- kmock reports -*", "slab-double-free: freed twice"])
