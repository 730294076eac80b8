"""The pytest plugin: fixtures, markers and options, and the verdict at the end of each test.

pytest loads this module in every run of every project that has kmock installed, so it is small and imports nothing of
the engine; that happens when the first test asks for a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kmock.plugin.fixtures import (
    IN_CALL,
    WATCH,
    device,
    dma_pool,
    dmesg,
    faults,
    gfp_context,
    kernel,
    mempool,
    percpu,
    user,
)
from kmock.plugin.options import add_options, register_markers, value

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["device", "dma_pool", "dmesg", "faults", "gfp_context", "kernel", "mempool", "percpu", "user"]


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the options."""
    add_options(parser)
    _spare_engine(getattr(pluginmanager, "rewrite_hook", None))


def _spare_engine(hook: Any) -> None:
    # pytest rewrites the asserts of every package that has a plugin, for the sake of test helpers. The engine's asserts
    # are invariants on hot paths; rewritten, they are slower to import and to run.
    if isinstance(getattr(hook, "_must_rewrite", None), set):
        hook._must_rewrite.discard("kmock")
        hook._marked_for_rewrite_cache.clear()


def pytest_configure(config: pytest.Config) -> None:
    """Offer the markers; see that this is kmock, and that what was said about the suite makes sense."""
    _check_neighbour()
    register_markers(config)
    value(config, "seed")
    suppressions = value(config, "suppress")
    if suppressions:
        from kmock.plugin.suppress import SUPPRESSIONS, parse  # noqa: PLC0415 -- most suites have none

        config.stash[SUPPRESSIONS] = parse(suppressions, str(config.rootpath))


def _check_neighbour() -> None:
    import kmock  # noqa: PLC0415 -- already loaded; looked at, not used

    if "boot" not in getattr(kmock, "__all__", ()):
        raise pytest.UsageError(
            f"{kmock.__file__} belongs to another distribution, 'kmock' (a Kubernetes mock), that was installed over "
            "pytest-kmock: uninstall it and install pytest-kmock again, since the two can't share an environment"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check every marker before the first test runs."""
    concerned = [item for item in items if _is_concerned(item)]
    if concerned:
        from kmock.plugin.markers import check_markers  # noqa: PLC0415 -- only where a test wants a kernel

        check_markers(config, concerned)


def _is_concerned(item: pytest.Item) -> bool:
    return (
        "kernel" in getattr(item, "fixturenames", ())
        or item.get_closest_marker("kernel") is not None
        or item.get_closest_marker("expect_report") is not None
        or item.get_closest_marker("interleave") is not None
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that is marked ``interleave`` again and again."""
    if item.get_closest_marker("interleave") is None:
        return None
    from kmock.plugin.interleave import ItemSearch  # noqa: PLC0415 -- only where a test is marked so

    ItemSearch(item, nextitem).run()
    return True


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run the test in the context it asked for; then judge what was found, and what it left behind."""
    item.stash[IN_CALL] = True
    watch = item.stash.get(WATCH, None)
    if watch is not None:
        watch.begin_call()
    try:
        result = yield
    except BaseException as error:
        # The fixture may have been asked for by the test itself.
        watch = item.stash.get(WATCH, None)
        if watch is not None and watch.end_call(error):
            return None
        raise
    finally:
        item.stash[IN_CALL] = False
    watch = item.stash.get(WATCH, None)
    if watch is not None:
        watch.end_call(None)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show findings as kmock shows them, and hide kmock's own frames from what Python shows."""
    watch = item.stash.get(WATCH, None)
    if watch is None and call.excinfo is None and not getattr(item, "_excinfo", None):
        return (yield)
    from kmock.plugin import outcome  # noqa: PLC0415 -- only where a kernel ran, or something failed

    outcome.hide_frames(item, call)
    report = yield
    outcome.complete(report, item, call)
    if watch is not None and call.when == "teardown":
        del item.stash[WATCH]  # pytest keeps items until the end of the run; a machine should not stay that long
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """``L`` for what fixtures left behind."""
    if report.failed and report.when == "teardown" and getattr(report, "kmock", {}).get("leaked"):
        return "leaked", "L", "LEAKED"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Count what was found, and write it to a file where that was asked for."""
    reports = [report for group in terminalreporter.stats.values() for report in group if hasattr(report, "kmock")]
    if reports or value(config, "json") or value(config, "suppress"):
        from kmock.plugin.summary import Summary  # noqa: PLC0415 -- only where there is something to tell

        Summary(config, reports).show(terminalreporter)
