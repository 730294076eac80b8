"""With pytest-xdist: findings travel from the workers, and are counted and written once."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("xdist")

TESTS = """
    @pytest.fixture
    def dev(kernel): return scull_open()

    def test_leak(kernel): scull_open()

    def test_double_free(kernel): scull_close_twice(scull_open())

    def test_again(kernel):
        scull_close_twice(scull_open())
        scull_close_twice(scull_open())

    def test_left(dev): pass

    def test_suppressed(kernel):
        dev = scull_open()
        kfree(dev + 8)
        kfree(dev)

    @pytest.mark.kernel(cpu=4)
    def test_mistaken(kernel): pass
"""


def test_two_workers(suite, monkeypatch):
    suite.ini("kmock_suppress = slab-interior-free: test_scull.py: for this test")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = suite.run_apart(TESTS, "-pxdist", "-pkmock.plugin", "-n2", "-v", "--kmock-json=out.json")
    assert result.parseoutcomes() == {"failed": 3, "passed": 2, "leaked": 1, "errors": 1}
    result.stdout.fnmatch_lines(
        [
            "*= LEAKS =*",
            "E   leak-*",
            "LEAKED test_scull.py::test_left - leak-*: 64 bytes from scull.py:*",
            "kmock: 5 findings in 4 tests: slab-double-free 3, leak-*; 1 suppressed",
        ]
    )
    result.stdout.fnmatch_lines(["*FAILED*test_leak* - leak-unreachable: 64 bytes from scull.py:*"])
    # A worker can't stop the run at collection, as it happens without xdist: so the test says it itself.
    result.stdout.fnmatch_lines(["E *test_scull.py:*: @pytest.mark.kernel: unknown key 'cpu': did you mean 'cpus'?"])
    assert result.stdout.str().count("kmock: 5 findings") == 1
    document = json.loads(suite.pytester.path.joinpath("out.json").read_text())
    assert document["kinds"]["slab-double-free"] == 3
    assert len(document["tests"]) == 5
