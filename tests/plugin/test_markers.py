"""Mistakes in markers stop the run before the first test, with one sentence that says where and what."""

from __future__ import annotations

import pytest


def refused(suite, marker, fixture="kernel"):
    result = suite.run(f"\n@pytest.mark.{marker}\ndef test_it({fixture}): pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("kernel(cpu=4)", "@pytest.mark.kernel: unknown key 'cpu': did you mean 'cpus'?"),
        ("kernel(cpus='many')", "@pytest.mark.kernel: cpus: 'many' *"),
        ("kernel(memory='64Q')", "@pytest.mark.kernel: memory: '64Q' *"),
        ("kernel(machine='numa3')", "@pytest.mark.kernel: machine: 'numa3' *did you mean 'numa2'?"),
        ("kernel('numa2')", "@pytest.mark.kernel: takes no positional argument, got 'numa2': *machine='numa2'"),
        (
            "expect_report('slab-dobule-free')",
            "*: kind: unknown report kind 'slab-dobule-free': did you mean 'slab-double-free'?",
        ),
        ("expect_report('slab-double-free', count=-1)", "*: count: -1 is not a number of reports*"),
        ("expect_report('slab-double-free', times=1)", "*: unknown argument 'times': expected kind, count"),
        ("expect_report()", "@pytest.mark.expect_report: expected one kind, as in *"),
        ("expect_report('slab-*', 1, count=1)", "@pytest.mark.expect_report: expected one kind, as in *"),
    ],
)
def test_mistake(suite, marker, said):
    from fnmatch import fnmatchcase

    assert fnmatchcase(refused(suite, marker), f"ERROR: test_scull.py:*: {said}")


def test_report_announced_by_a_test_without_a_kernel(suite):
    assert refused(suite, "expect_report('slab-*')", "request").endswith(
        "this test doesn't use the fixture `kernel`, so no report can come"
    )


def test_markers_are_known_to_pytest(suite):
    result = suite.run("", "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.kernel(*", "@pytest.mark.expect_report(kind, count=None): *"])


def test_nearest_marker_wins_and_the_rest_is_laid_below(suite):
    result = suite.run(
        """
        pytestmark = pytest.mark.kernel(cpus=4, memory="32M")

        @pytest.mark.kernel(cpus=1)
        def test_own(kernel): assert (kernel.config.cpus, kernel.config.memory) == (1, 32 << 20)

        def test_module(kernel): assert kernel.config.cpus == 4

        @pytest.mark.kernel(machine="numa2", cpus=8)
        def test_machine(kernel): assert len(kernel.config.topology) == 2
        """,
        "--strict-markers",
    )
    result.assert_outcomes(passed=3)


def test_machine_file_beside_the_test(suite):
    suite.pytester.mkdir("sub").joinpath("board.yaml").write_text("cpus: 3\n")
    suite.pytester.path.joinpath("sub", "test_board.py").write_text(
        "import pytest\n"
        "@pytest.mark.kernel(machine='board.yaml')\n"
        "def test_it(kernel): assert kernel.config.cpus == 3\n"
    )
    suite.run("", "sub").assert_outcomes(passed=1)
