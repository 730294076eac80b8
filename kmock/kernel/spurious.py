"""Interrupts that nobody was meant to get (``kernel/irq/spurious.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmock.kernel.irq import Action, Line
    from kmock.machine import Kernel
    from kmock.stack import Stack

_LOOK_EVERY = 100_000
_UNHANDLED = 99_900


def note(k: Kernel, irq: int, line: Line, *, handled: bool) -> None:
    """``note_interrupt()``: turn a line off that almost nobody's interrupts came by, 100,000 in a row."""
    now = k.clock.jiffies
    if not handled:
        line.unhandled = 1 if now > line.last_unhandled + k.config.hz // 10 else line.unhandled + 1
        line.last_unhandled = now
    line.count += 1
    if line.count < _LOOK_EVERY:
        return
    line.count = 0
    if line.unhandled > _UNHANDLED:
        first = line.actions[0]
        k.report(
            "irq-unhandled",
            f'irq {irq}: nobody cared (try booting with the "irqpoll" option)',
            lines=["handlers:", *(f" {action.function}" for action in line.actions), f"Disabling IRQ #{irq}"],
            stacks={"access": handler_stack(first.handler) or first.stack, "requested": first.stack},
            key=("irq-unhandled", irq),
        )
        line.depth += 1
    line.unhandled = 0


def claimed(k: Kernel, source: Any, actions: list[Action]) -> None:
    """The device of cookie ``source`` raised the line, and ``actions`` say that it was theirs."""
    for action in actions:
        if action.dev_id is not source:
            k.report(
                "irq-claims-foreign",
                f"BUG: kmock: irq-claims-foreign in {action.function}()",
                lines=[
                    f"{action.function}() of {action.name} returned IRQ_HANDLED for an interrupt of another device on line {action.irq}"
                ],
                stacks={"access": handler_stack(action.handler) or action.stack, "requested": action.stack},
                key=("irq-claims", action),
            )


def handler_stack(function: Any) -> Stack:
    """Return a stack of one frame that points at where ``function`` is defined; empty for what has no code."""
    code = getattr(function, "__code__", None)
    return (code, 0) if code is not None else ()
