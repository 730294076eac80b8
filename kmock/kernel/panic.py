"""WARN, BUG, oops and panic (``kernel/panic.c``, ``lib/bug.c``, ``arch/x86/kernel/dumpstack.c``)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NoReturn

from kmock.errors import KernelOops, KernelPanic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kmock.config import KernelConfig
    from kmock.hw.cpu import Cpu
    from kmock.kernel.printk import Log
    from kmock.report import ObjectInfo, Report
    from kmock.stack import Stack

_TAINT_ORDER = "GFSRMBUDAWCIOELKXTN"


class Panic:
    """The part of a kernel that says that something went wrong, and stops where it can't go on."""

    config: KernelConfig
    cpu: Cpu
    log: Log
    report: Any
    oopses = 0

    @functools.cached_property
    def taints(self) -> set[str]:
        """Taint letters set so far. A driver under test is an out-of-tree module, hence O."""
        return {"O"}

    @functools.cached_property
    def once(self) -> set[object]:
        """Places of WARN_ONCE and its kin that have spoken."""
        return set()

    @functools.cached_property
    def rates(self) -> dict[object, tuple[int, int]]:
        """When each rate-limited place began its interval, and how often it spoke since."""
        return {}

    @property
    def taint_text(self) -> str:
        """``Tainted: G    B      O      ``: the letters in their columns."""
        return "Tainted: " + "".join(
            letter if letter in self.taints or letter == "G" else " " for letter in _TAINT_ORDER
        )

    @property
    def build(self) -> str:
        """How the oops line names the kernel's build: ``PREEMPT SMP KASAN``."""
        words = [
            "PREEMPT" * self.config.preempt,
            "SMP",
            "DEBUG_PAGEALLOC" * (self.config.boot_arg("debug_pagealloc") == "on"),
            "KASAN" * self.config.kasan,
        ]
        return " ".join(word for word in words if word)

    def warn(
        self,
        kind: str,
        at: str,
        function: str,
        message: str = "",
        *,
        lines: Iterable[str] = (),
        key: object = None,
        **more: Any,
    ) -> Report | None:
        """WARN at ``file:line`` (``at``) of the kernel's source, in ``function``.

        With a ``message`` that is the headline and the WARNING line follows it, as on x86.
        """
        cpu = self.cpu
        warning = f"WARNING: CPU: {cpu.id} PID: {cpu.task.pid} at {at} {function}+0x0/0x0"
        below = [warning, *lines] if message else list(lines)
        found: Report | None = self.report(
            kind, message or warning, lines=below, key=(at, key) if key is not None else None, taint="W", **more
        )
        if self.config.panic_on_warn:
            self.panic("kernel: panic_on_warn set ...", kind)
        return found

    def bug(
        self,
        kind: str,
        at: str,
        *,
        headlines: Iterable[str] = (),
        stacks: Mapping[str, Stack] | None = None,
        **more: Any,
    ) -> NoReturn:
        """BUG at ``file:line`` of the kernel's source: report and end the task.

        ``headlines`` are lines the kernel prints before ``kernel BUG at``, as VM_BUG_ON_PAGE does.
        """
        lines = [*headlines, f"kernel BUG at {at}!", f"invalid opcode: 0000 [#{self.oopses + 1}] {self.build}"]
        self.die(kind, lines[0], lines=lines[1:], stacks=stacks, **more)

    def die(
        self,
        kind: str,
        headline: str,
        *,
        lines: Iterable[str] = (),
        stacks: Mapping[str, Stack] | None = None,
        object: ObjectInfo | None = None,
        **more: Any,
    ) -> NoReturn:
        """Report and end the running task, or the machine where there is no task to end."""
        self.oopses += 1
        cpu = self.cpu
        note = "irqs disabled" if not cpu.preempt_count else f"preempt_count {cpu.preempt_count & 0xFF}"
        in_interrupt = bool(cpu.preempt_count & 0xFFFF00)
        last = (
            "Kernel panic - not syncing: Fatal exception in interrupt"
            if in_interrupt
            else f"note: {cpu.task.comm}[{cpu.task.pid}] exited with {note}"
        )
        # A dead task is never a consequence of an earlier report: it is its own, whatever the object.
        report = self.report(kind, headline, lines=[*lines, last], stacks=stacks, object=object, taint="D", **more)
        raise (KernelPanic if in_interrupt else KernelOops)(report)

    def panic(self, message: str, kind: str = "kernel-panic") -> NoReturn:
        """``panic()``: stop the machine."""
        report = self.report(kind, f"Kernel panic - not syncing: {message}")
        raise KernelPanic(report)
