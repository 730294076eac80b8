"""Exceptions: what ends a simulated task, and what tells a user of kmock about a mistake of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmock.report import Report


class NoKernelError(RuntimeError):
    """A kernel function was called while no kernel runs."""

    def __init__(self) -> None:
        super().__init__(
            "no kernel is running: take the `kernel` fixture, or boot one with `with kmock.boot() as kernel:`"
        )


class NotBuiltError(ImportError):
    """A name that the kernel's header has, and kmock does not offer yet."""


class ReportedError(Exception):
    """Ends the running task as the kernel would have ended it; ``report`` tells why."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.headline)
        self.report = report


class KernelOops(ReportedError):
    """The real kernel would have killed the task here: BUG(), a wild pointer, a null dereference."""


class KernelPanic(ReportedError):
    """The real kernel would have stopped the machine here."""


class Deadlock(ReportedError):
    """Every task is blocked, and nothing that is left can wake one."""


class Misuse(ReportedError):
    """Raised at the spot of a report when reports are configured to raise (``--kmock-raise``)."""


class UserSignal(Exception):
    """A simulated process received a deadly signal (``SIGSEGV``, ``SIGBUS``) at ``address``."""

    def __init__(self, signal: str, address: int) -> None:
        super().__init__(f"{signal} at {address:#x}")
        self.signal = signal
        self.address = address
