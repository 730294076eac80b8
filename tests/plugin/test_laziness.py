"""A run that uses no kernel pays for none; and the plugin sees whose files it stands among."""

from __future__ import annotations

import pytest

ALLOWED = {"kmock", "kmock.plugin", "kmock.plugin.fixtures", "kmock.plugin.options"}
HEAVY = ("msgspec", "yaml", "greenlet", "sortedcontainers", "click")

SEEN = """
    import sys

    def pytest_unconfigure():
        print("seen:", *sorted(name for name in sys.modules if name.split(".")[0] in {names!r}))
"""


def seen(suite, tests, *names, **options):
    suite.pytester.makeconftest(SEEN.replace("{names!r}", repr(names)).replace("\n    ", "\n"))
    suite.pytester.makepyfile(test_it=tests)
    result = suite.pytester.runpytest_subprocess("-s", "-p", "no:hypothesispytest", "-p", "no:pyfakefs")
    result.assert_outcomes(**options)
    (line,) = (line for line in result.stdout.lines if line.startswith("seen:"))
    return set(line.split()[1:])


def test_engine_is_imported_for_who_asks_only(suite):
    assert seen(suite, "def test_it(): pass", "kmock", passed=1) == ALLOWED


def test_failure_elsewhere_imports_no_engine(suite):
    modules = seen(suite, "def test_it(): assert 0", "kmock", failed=1)
    assert "kmock.machine" not in modules
    assert "kmock.config" not in modules


def test_no_heavy_library_either(suite):
    assert seen(suite, "def test_it(): pass", *HEAVY, passed=1) == set()


NOT_REWRITTEN = """
    import kmock.machine

    def test_it(kernel):
        assert "rewrite" not in type(kmock.machine.__spec__.loader).__module__
"""


def test_first_test_that_asks_gets_the_engine_as_it_is_and_without_greenlet(suite):
    modules = seen(suite, NOT_REWRITTEN, "kmock", "greenlet", passed=1)
    assert "kmock.machine" in modules
    assert "greenlet" not in modules


def test_files_of_the_other_kmock_in_our_place(suite, monkeypatch):
    import kmock

    monkeypatch.setattr(kmock, "__all__", ["KubernetesEmulator"])
    result = suite.run("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *kmock/__init__.py belongs to another distribution, 'kmock' *"])


def test_internals_of_pytest_that_moved_do_no_harm():
    from kmock.plugin import _spare_engine

    class Hook:
        _must_rewrite = frozenset({"kmock"})

    _spare_engine(None)
    _spare_engine(Hook())
    assert Hook._must_rewrite == {"kmock"}
