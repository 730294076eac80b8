"""How a module comes and goes: what its init returns, whether it can come again, and what its exit allocates and frees."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

    from kmock.kernel.module import Module
    from kmock.linux._api import Contract
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation


class ModuleLife:
    """Watches the modules of one machine."""

    __slots__ = ("_ended", "_exiting", "_loadable", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._exiting: Module | None = None
        """The module whose exit runs."""
        self._ended: list[CodeType] = []
        """The exits that have run, and what called the removes that have."""
        self._loadable: set[tuple[str, str]] = set()
        """Loads, by name and parameters, that have worked, or failed while faults were injected."""

    # -- init -------------------------------------------------------------------------------------

    def came(self, module: Module, params: Mapping[str, object], result: int, *, injected: bool) -> None:
        """The module's init returned ``result``; ``injected`` says whether faults were armed when it began."""
        load = (module.name, repr(sorted(params.items())))
        if result > 0 or result == -1:
            what = f"returned {result}, which is no -errno of what went wrong"
            self._report(module, "error-code-changed", what)
        if result < 0 and not injected and load in self._loadable:
            what = (
                f"returned {result} ({os.strerror(-result)}), although the same load has been tried and undone before"
            )
            self._report(module, "probe-retry-fails", what)
        if result >= 0 or injected:
            self._loadable.add(load)

    def _report(self, module: Module, kind: str, what: str) -> None:
        init = module.image.init
        assert init is not None
        headline = f"BUG: kmock: {kind} in {module.name}"
        stacks = {"access": (init.__code__, 0)}
        self.kernel.report(kind, headline, lines=[f"{init.__name__}() {what}"], stacks=stacks)

    # -- exit -------------------------------------------------------------------------------------

    @contextmanager
    def going(self, module: Module) -> Iterator[None]:
        """Run the module's exit in this block."""
        k = self.kernel
        self._exiting = module
        k.vetting = True  # every call comes by, see called()
        try:
            yield
        finally:
            self._exiting = None
            k.faults.update()
            if module.image.cleanup is not None:
                self._ended.append(module.image.cleanup.__code__)

    @contextmanager
    def removing(self, code: CodeType) -> Iterator[None]:
        """Call a driver's remove, through the function ``code``, in this block."""
        if code in self._ended:
            self._ended.remove(code)
        try:
            yield
        finally:
            self._ended.append(code)

    def called(self, contract: Contract) -> None:
        """A kernel function that gives memory is called: report it if it is the exit of a module that does."""
        module = self._exiting
        k = self.kernel
        if module is None or not module.image.owns(stack := k.capture()):
            return
        k.report(
            "alloc-during-exit",
            f"BUG: kmock: alloc-during-exit in {k.symbol(stack)}",
            lines=[
                f"{contract.name}() is called while {module.name} is unloaded, when nobody can be told that it failed"
            ],
            stacks={"access": stack},
            key=(module, "exit", contract.name),
        )

    def freed_by_exit(self, about: Allocation) -> bool:
        """Whether an exit or a remove that is over freed the memory: whoever touches it now should have been stopped before."""
        return about.free_stack is not None and any(code in self._ended for code in about.free_stack[::2])
