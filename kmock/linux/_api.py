"""The contract that every kernel function declares, once, where it is defined, and its check on every call.

::

    @api(since="1.0", sleeps=Sleeps.GFP, undo="kfree", fails=True)
    def kmalloc(k: Kernel, size: int, flags: int) -> Ptr:
        \"\"\"Allocate ``size`` bytes...\"\"\"
        return k.slab.kmalloc(size, flags)

The decorated function loses its first parameter: ``kmalloc(64, GFP_KERNEL)`` acts on the current kernel.
In plain process context the check is one test; everything else is on the path that is taken only where
execution is atomic or the machine asks for more. Documentation, ``kmock api`` and the fault points are
drawn from the same declarations, which hang on the functions as ``contract``.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from kmock.current import current
from kmock.errors import NoKernelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel

_PART = re.compile(r"/_([a-z]+)_[a-z]+$")
P = ParamSpec("P")
R = TypeVar("R")


class Sleeps(enum.Enum):
    """Whether a call may sleep."""

    NEVER = "never"
    GFP = "if the gfp flags allow it"
    ALWAYS = "always"


class Where(enum.Flag):
    """Execution contexts, as a set."""

    PROCESS = enum.auto()
    ATOMIC = enum.auto()
    SOFTIRQ = enum.auto()
    HARDIRQ = enum.auto()
    NMI = enum.auto()
    INTERRUPT = SOFTIRQ | HARDIRQ | NMI


NOWHERE = Where(0)


@dataclass(frozen=True, slots=True)
class Contract:
    """What a kernel function promises and demands."""

    name: str
    header: str
    since: str
    until: str
    replaced_by: str
    sleeps: Sleeps
    illegal: Where
    undo: str
    fails: bool
    parameters: tuple[str, ...]
    sleeper: str
    """Kind of report for calling it where it may not sleep; empty where the general one fits."""
    anywhere: bool = False
    """Whether it may be called in any context but an NMI, whatever its arguments."""

    @property
    def allocates(self) -> bool:
        """Whether it gives memory."""
        return self.fails and (self.sleeps is Sleeps.GFP or self.undo == "vfree")

    def gfp(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
        """Return the gfp argument of a call, None if it has none."""
        if self.sleeps is not Sleeps.GFP:  # others' flags are those of a lock, a cache, an irq
            return None
        for name in ("gfp", "flags", "gfp_mask"):
            if name in kwargs:
                return int(kwargs[name])
            if name in self.parameters and self.parameters.index(name) < len(args):
                return int(args[self.parameters.index(name)])
        return None


def api(
    *,
    since: str,
    until: str = "",
    replaced_by: str = "",
    sleeps: Sleeps = Sleeps.NEVER,
    illegal: Where = NOWHERE,
    undo: str = "",
    fails: bool = False,
    sleeper: str = "",
) -> Callable[[Callable[Concatenate[Kernel, P], R]], Callable[P, R]]:
    """Declare the contract of a kernel function and bind it to the current kernel.

    ``since`` and ``until`` are kernel releases; ``illegal`` the contexts in which calling it is a mistake
    whatever it does; ``undo`` the call that gives back what it returns; ``fails`` whether it can fail.
    """

    def declare(function: Callable[Concatenate[Kernel, P], R]) -> Callable[P, R]:
        code = function.__code__
        # A header too long for one file has parts, such as `_mm_gup` of `mm`.
        module = _PART.sub(r"/\1", function.__module__.removeprefix("kmock.").replace(".", "/"))
        contract = Contract(
            name=function.__name__,
            header=module + ".h",
            since=since,
            until=until,
            replaced_by=replaced_by,
            sleeps=sleeps,
            illegal=illegal,
            undo=undo,
            fails=fails,
            parameters=code.co_varnames[1 : code.co_argcount],
            sleeper=sleeper,
            anywhere=sleeps is Sleeps.NEVER and not illegal and undo != "vfree",
        )

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            k = current.kernel
            if k is None:
                raise NoKernelError
            cpu = k.cpu
            if k.vetting or cpu.preempt_count or cpu.irqs_off or cpu.task.rcu_depth or cpu.task.non_block:
                return k.contracts.call(contract, function, args, kwargs)  # type: ignore[no-any-return]
            return function(k, *args, **kwargs)

        call.contract = contract  # type: ignore[attr-defined]
        return call

    return declare
