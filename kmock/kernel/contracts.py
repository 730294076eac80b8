"""The check of what every kernel function declares in :mod:`kmock.linux._api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK, SOFTIRQ_OFFSET
from kmock.stack import driver_frame, site

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.linux._api import Contract
    from kmock.machine import Kernel

# Calls for which being made in an interrupt is a kind of its own.
_KINDS = dict.fromkeys(("mutex_unlock", "up_read", "up_write"), "lock-irq-handler-mutex")

# Calls that leave what may sleep to a work item when they are made in an interrupt.
_DEFERRED = ("kvfree", "vfree")
# What a caller rules out by gfp flags: blocking, I/O, entering file systems.
_MAY_DO = 0x400 | 0x40 | 0x80
_INTERRUPT = NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK


class Contracts:
    """Looks at calls made in atomic context, and at every call where the machine asks for it."""

    __slots__ = ("_unasked", "_version", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        version = kernel.config.version
        self._version = release(version) if version is not None else None
        self._unasked = self._version is None and not kernel.config.lint
        """Whether nothing is asked of calls but their context."""

    def call(
        self, contract: Contract, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Make the call; report where it breaks its contract."""
        k = self.kernel
        faults = k.faults
        if not faults.counting:
            if contract.anywhere and self._unasked and not k.cpu.preempt_count & NMI_MASK:
                return function(k, *args, **kwargs)
            return self._vetted(contract, function, args, kwargs)
        with faults.public(contract):
            return self._vetted(contract, function, args, kwargs)

    def _vetted(
        self, contract: Contract, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        k = self.kernel
        if not k.config.contracts:
            return function(k, *args, **kwargs)
        if self._version is not None:
            self._check_version(contract)
        if contract.allocates and "modules" in vars(k):
            k.modules.life.called(contract)
        if k.config.lint and (gfp := contract.gfp(args, kwargs)) is not None:
            self._check_gfp_passed_on(contract, gfp)
        if contract.illegal._value_ or k.cpu.preempt_count & NMI_MASK:
            self._check_context(contract)
        if contract.sleeps._name_ != "ALWAYS" and not (contract.sleeps._name_ == "GFP" and contract.sleeper):
            return function(k, *args, **kwargs)
        return self._sleeper(contract, function, args, kwargs)

    def _sleeper(
        self, contract: Contract, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call what may sleep: if it did not say so itself this time, another input will sleep here."""
        k = self.kernel
        cpu = k.cpu
        task = cpu.task
        atomic = cpu.preempt_count or cpu.irqs_off or task.rcu_depth
        if cpu.preempt_count & _INTERRUPT and contract.name in _DEFERRED:
            atomic = False
        if not atomic or not k.config.atomic_sleep or not _may_sleep(contract, args, kwargs):
            return function(k, *args, **kwargs)
        asked, section = k.atomic_sleep.asked, cpu.section
        stacks = {"access": k.capture()}
        result = function(k, *args, **kwargs)
        if k.atomic_sleep.asked == asked:
            kind = contract.sleeper or "sleep-conditionally-in-atomic"
            k.report(
                kind,
                f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}",
                lines=[f"{contract.name}() may sleep, although it did not this time", *k.lockdep.held_lines(task)],
                stacks=stacks,
                key=("atomic", cpu.id, section),
            )
        return result

    def _check_context(self, contract: Contract) -> None:
        k = self.kernel
        where = context_name(k)
        here = contract.illegal._value_ & type(contract.illegal)[where]._value_
        if not here and where != "NMI":
            return
        # No allocator's locks may be taken in an NMI, nor may memory be given back.
        allocates = contract.allocates or contract.name.startswith(("kfree", "kvfree", "free_", "__free"))
        if not here and not allocates:
            return
        kind = "alloc-in-nmi" if where == "NMI" and allocates else _KINDS.get(contract.name, "irq-context-contract")
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(k.capture())}",
            lines=[f"{contract.name}() must not be called in {where.lower()} context"],
            key=("atomic", k.cpu.id, k.cpu.section),
        )

    def _check_gfp_passed_on(self, contract: Contract, gfp: int) -> None:
        """Lint: a driver's function that is given gfp flags lets an allocation do what its caller ruled out."""
        given = caller_gfp()
        if given is not None and gfp & _MAY_DO & ~given:
            stack = self.kernel.capture()
            self.kernel.report(
                "gfp-param-ignored",
                f"BUG: kmock: gfp-param-ignored in {self.kernel.symbol(stack)}",
                lines=[f"{contract.name}() was called with {gfp:#x}, the function itself with {given:#x}"],
                stacks={"access": stack},
                key=("gfp-param-ignored", site(stack)),
            )

    def _check_version(self, contract: Contract) -> None:
        assert self._version is not None
        if self._version < release(contract.since):
            self._wrong_version(contract, f"appeared in {contract.since}", contract.header)
        elif contract.until and self._version >= release(contract.until):
            instead = f": use {contract.replaced_by}()" if contract.replaced_by else ""
            self._wrong_version(contract, f"went with {contract.until}{instead}", contract.header)

    def _wrong_version(self, contract: Contract, history: str, header: str) -> None:
        k = self.kernel
        k.report(
            "api-version",
            f"BUG: kmock: api-version in {k.symbol(k.capture())}",
            lines=[f"{contract.name}() of <{header}> {history}; this kernel is {k.config.version}"],
            key=("version", contract.name),
        )


def _may_sleep(contract: Contract, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if contract.sleeps.name == "ALWAYS":
        return True
    gfp = contract.gfp(args, kwargs)
    return gfp is not None and bool(gfp & 0x400)  # __GFP_DIRECT_RECLAIM


def caller_gfp() -> int | None:
    """The gfp parameter of the driver's function that makes the call, None if it has none."""
    frame = driver_frame()
    if frame is None:
        return None
    parameters = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    name = next((name for name in ("gfp", "gfp_mask", "gfp_flags") if name in parameters), None)
    value = frame.f_locals[name] if name is not None else None
    return value if isinstance(value, int) else None


def context_name(k: Kernel) -> str:
    """The member of ``Where`` that execution is in."""
    count = k.cpu.preempt_count
    if count & NMI_MASK:
        return "NMI"
    if count & HARDIRQ_MASK:
        return "HARDIRQ"
    if count & SOFTIRQ_OFFSET:
        return "SOFTIRQ"
    task = k.current
    return "ATOMIC" if count or k.cpu.irqs_off or task.rcu_depth else "PROCESS"


def release(version: str) -> tuple[int, ...]:
    """Split ``2.6.10`` into numbers that compare."""
    return tuple(int(part) for part in version.split("."))
