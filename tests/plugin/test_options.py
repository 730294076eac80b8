"""Options: command line over ini file, and what each of them does."""

from __future__ import annotations

import json

import pytest

from kmock.plugin.options import OPTIONS

MISUSE = "def test_it(kernel): scull_close_twice(scull_open())"


def test_help_is_drawn_from_the_table(suite):
    text = suite.run("", "--help").stdout.str()
    words = " ".join(text.split())
    for option in OPTIONS:
        assert option.ini in text
        assert option.kind == "lines" or option.flag in text
        assert option.help in words


def test_no_option_has_a_name_of_the_other_kmock():
    assert not {option.ini for option in OPTIONS} & {"kmock_cls", "kmock_limit", "kmock_strict"}


@pytest.mark.parametrize("args", [(), ("--kmock-machine=numa2", "--kmock-seed=0x10")])
def test_command_line_wins_over_ini(suite, args):
    suite.ini(
        """
        kmock_machine = uniprocessor
        kmock_seed = 5
        """
    )
    wanted = ("numa2", 16) if args else ("uniprocessor", 5)
    result = suite.run(f"def test_it(kernel): assert (kernel.config.origin, kernel.config.seed) == {wanted}", *args)
    result.assert_outcomes(passed=1)


def test_marker_wins_over_both(suite):
    suite.ini("kmock_seed = 5")
    result = suite.run(
        """
        @pytest.mark.kernel(seed=7)
        def test_it(kernel): assert kernel.config.seed == 7
        """,
        "--kmock-seed=6",
    )
    result.assert_outcomes(passed=1)


def test_machine_file_is_looked_for_beside_the_ini_file(suite):
    suite.pytester.path.joinpath("board.yaml").write_text("cpus: 3\n")
    suite.ini("kmock_machine = board.yaml")
    suite.pytester.mkdir("sub").joinpath("test_board.py").write_text(
        "def test_it(kernel): assert kernel.config.cpus == 3"
    )
    result = suite.run("", "sub")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--kmock-seed=many"], "ERROR: --kmock-seed: 'many' is not a number such as 0 or 42"),
        (["-o", "kmock_seed=x"], "ERROR: ini option kmock_seed: 'x' is not a number such as 0 or 42"),
        (["--kmock-machine=numa3"], "ERROR: the suite's options: machine: 'numa3' *did you mean 'numa2'?"),
        (["-o", "kmock_suppress=leak-*: x.py"], "ERROR: ini option kmock_suppress: 'leak-?: x.py' is not *"),
        (
            ["-o", "kmock_suppress=leek: *: x"],
            "ERROR: ini option kmock_suppress: 'leek: ?: x': unknown report kind 'leek'*",
        ),
    ],
)
def test_mistake_is_one_sentence(suite, args, said):
    result = suite.run(MISUSE, *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    assert "Traceback" not in result.stderr.str()


def test_raise_ends_the_test_at_the_spot(suite):
    result = suite.run(
        """
        def test_it(kernel):
            scull_close_twice(scull_open())
            print("not reached")
        """,
        "--kmock-raise",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   slab-double-free: *", "Raised at the spot, as --kmock-raise asks for; *"])
    result.stdout.no_fnmatch_line("not reached")


def test_raise_spares_what_is_expected_or_suppressed(suite):
    suite.ini("kmock_suppress = slab-double-free: scull.py: for this test")
    result = suite.run(
        """
        def test_suppressed(kernel): scull_close_twice(scull_open())

        def test_expected(kernel):
            with kernel.expect("leak-*"):
                scull_open()
                kernel.census.end_call()
        """,
        "--kmock-raise",
    )
    result.assert_outcomes(passed=2)


def test_leaks_are_told_under_raise_too(suite):
    result = suite.run("def test_it(kernel): scull_open()", "--kmock-raise")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   leak-unreachable: *"])


def test_full_shows_the_kernels_own_text(suite):
    result = suite.run(MISUSE, "--kmock-full")
    result.stdout.fnmatch_lines(
        ["access:", "*scull.py:* in scull_close_twice", "the kernel's own text:", "  BUG: KASAN: *"]
    )
    result.stdout.no_fnmatch_line("more:*")


def test_lint_is_told_and_fails_nothing(suite):
    lint = """
        def test_it(kernel):
            kernel.report("gfp-atomic-needless", "kmock: GFP_ATOMIC where sleeping is allowed")
    """
    suite.run(lint).stdout.no_fnmatch_line("*gfp-atomic-needless*")
    result = suite.run(lint, "--kmock-lint")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["lint: gfp-atomic-needless: test_scull.py:* (test_scull.py::test_it)", "kmock: 1 lint"]
    )


def test_json_has_every_finding(suite):
    suite.ini("kmock_suppress = leak-*: scull.py: for this test")
    suite.run(
        """
        def test_it(kernel):
            scull_close_twice(scull_open())
            scull_open()

        def test_correct(kernel): pass
        """,
        "--kmock-json=out.json",
    )
    document = json.loads(suite.pytester.path.joinpath("out.json").read_text())
    assert document["schema"] == "kmock-findings/1"
    assert document["kinds"] == {"slab-double-free": 1}
    (test,) = document["tests"]
    assert test["test"] == "test_scull.py::test_it"
    assert [one["kind"] for one in test["findings"]] == ["slab-double-free"]
    assert [one["kind"] for one in test["suppressed"]] == ["leak-unreachable"]
    assert test["findings"][0]["where"]["function"] == "scull_close_twice"


def test_json_is_written_though_nothing_was_found(suite):
    suite.run("def test_it(kernel): pass", "--kmock-json=out.json")
    assert json.loads(suite.pytester.path.joinpath("out.json").read_text())["tests"] == []


def test_junit_has_the_kinds_as_properties(suite):
    suite.run(MISUSE, "--junitxml=out.xml")
    text = suite.pytester.path.joinpath("out.xml").read_text()
    assert '<property name="kmock.finding" value="slab-double-free"' in text
    assert '<failure message="slab-double-free: scull.py:' in text


class TestSuppress:
    def test_suppressed_findings_are_counted_and_fail_nothing(self, suite):
        suite.ini(
            """
            kmock_suppress =
                slab-*: scull.py: goes away with the driver
            """
        )
        result = suite.run(MISUSE)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["kmock: 1 suppressed"])

    def test_findings_of_other_kinds_and_files_are_not_covered(self, suite):
        suite.ini(
            """
            kmock_suppress =
                leak-*: scull.py: another kind
                slab-double-free: drivers/*.py: another file
            """
        )
        suite.run(MISUSE).assert_outcomes(failed=1)

    def test_stale_lines_are_named_after_a_whole_run_only(self, suite):
        suite.ini("kmock_suppress = leak-*: gone.py: the driver was removed")
        said = "kmock: this line of kmock_suppress matched nothing and can go: leak-*: gone.py: *"
        suite.run("def test_it(kernel): pass").stdout.fnmatch_lines([said])
        suite.run("", "test_scull.py").stdout.no_fnmatch_line(said)
        suite.run("", "-k", "test_it").stdout.no_fnmatch_line(said)


def test_json_that_cannot_be_written_is_told(suite):
    result = suite.run("def test_it(kernel): pass", "--kmock-json=nowhere/out.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["kmock: can't write the findings to *nowhere/out.json: No such file or directory"])
