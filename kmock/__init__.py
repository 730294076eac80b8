"""kmock: a Linux kernel's memory management that a test can boot in a millisecond.

``with kmock.boot() as kernel:`` gives a machine; ``kmock.linux`` has the kernel's headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmock.config import ConfigError, KernelConfig
    from kmock.errors import Deadlock, KernelOops, KernelPanic, Misuse, NoKernelError, UserSignal
    from kmock.machine import Kernel, boot
    from kmock.report import Report

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "Deadlock",
    "Kernel",
    "KernelConfig",
    "KernelOops",
    "KernelPanic",
    "Misuse",
    "NoKernelError",
    "Report",
    "UserSignal",
    "boot",
]

_HOMES = {
    "ConfigError": "config",
    "KernelConfig": "config",
    "Kernel": "machine",
    "boot": "machine",
    "Report": "report",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pytest loads this package in every run."""
    if name not in __all__:
        msg = f"module 'kmock' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415 -- see above

    value = getattr(import_module(f"kmock.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value
