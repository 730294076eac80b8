"""Fault injection: makes calls fail that would have succeeded (``lib/fault-inject.c``).

Two ways to say which. The kernel's own are attributes (probability, interval, times, space...) for each class of
calls, here and as files under ``/sys/kernel/debug``, and ``/proc/<pid>/task/<tid>/fail-nth``, which counts every
fault point inside a call. :meth:`Faults.fail_nth` is for test writers: it counts the calls that a driver makes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from kmock.fault.attr import CLASSES, MAX_STACK_TRACE_DEPTH, FailPageAlloc, Failslab, FaultAttr
from kmock.stack import Frame, capture, user_frames

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.linux._api import Contract
    from kmock.machine import Kernel
    from kmock.mm.slab import KmemCache
    from kmock.stack import Stack

# include/linux/gfp_types.h and slab.h
_GFP_KERNEL = 0xCC0
_HIGHMEM = 0x2
_DIRECT_RECLAIM = 0x400
_NOWARN = 0x2000
_NOFAIL = 0x8000
_SLAB_FAILSLAB = 0x0200_0000
_SLAB_NOLEAKTRACE = 0x0080_0000

# in_task(): not in NMI, hard interrupt or softirq (include/linux/preempt.h)
_NOT_TASK = 0x00FF_0100

KMEMLEAK_OBJECT = 312
"""sizeof(struct kmemleak_object) of the recorded kernel's configuration."""
_KMEMLEAK_GFP = 0x0EE0  # gfp_kmemleak_mask() keeps GFP_KERNEL and GFP_ATOMIC (mm/kmemleak.c)


@dataclass(slots=True)
class FaultPoint:
    """A call that can fail, at one place of the driver, and how often it was made while faults were armed."""

    call: str
    site: Frame | None
    count: int = 0


class PublicCall:
    """A ``with`` block in which a kernel function runs that the driver called."""

    __slots__ = ("_faults", "chosen", "contract", "nofail", "reached", "task")

    def __init__(self, faults: Faults, contract: Contract, *, chosen: bool) -> None:
        self._faults = faults
        self.contract = contract
        self.task = faults.kernel.current
        self.chosen = chosen
        """Whether every fault point in it fails."""
        self.reached = False
        """Whether it came to a fault point, and so could have failed."""
        self.nofail = False
        """Whether it was asked never to fail, so that what fails inside is tried again."""

    def __enter__(self) -> None:
        self._faults.enter(self)

    def __exit__(self, *exc: object) -> None:
        self._faults.leave(self)


class Faults:
    """Fault injection of one kernel. ``active`` is False as long as nothing can fail: hot paths test only that."""

    __slots__ = (
        "_armed",
        "_attrs",
        "_calls",
        "_nth",
        "_points",
        "_task",
        "_watching",
        "active",
        "counting",
        "failed",
        "kernel",
    )

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.active = False
        self.counting = False
        """Whether public calls are to come by :meth:`public`."""
        self.failed: tuple[int, Stack] = (-1, ())
        """The last failure: how many allocations the machine had made before it, and where it was."""
        self._attrs: dict[str, FaultAttr] = {}
        self._armed: list[Task] = []
        self._calls: list[PublicCall] = []
        self._nth = 0
        self._task: Task | None = None
        self._watching = False
        self._points: dict[tuple[str, Frame | None], FaultPoint] = {}
        if kernel.config.cmdline:
            self._boot()

    # -- the test's side --------------------------------------------------------------------------

    def failslab(self, **attributes: Any) -> FaultAttr:
        """Make slab allocations fail from now on; see :class:`~kmock.fault.attr.Failslab` for the attributes.

        What is not named has the kernel's default, whatever was set before: ``times`` 1, so one call fails, and
        ``ignore_gfp_wait`` True, so GFP_KERNEL calls are spared. Only ``probability`` is 100 if not given.
        Returns the attributes in force, whose ``times`` and ``space`` count down.
        """
        return self.set("failslab", attributes)

    def fail_page_alloc(self, **attributes: Any) -> FaultAttr:
        """Make page allocations fail from now on; see :class:`~kmock.fault.attr.FailPageAlloc` and :meth:`failslab`."""
        return self.set("fail_page_alloc", attributes)

    def fail_usercopy(self, **attributes: Any) -> FaultAttr:
        """Make copies from and to user space fail from now on; see :meth:`failslab`."""
        return self.set("fail_usercopy", attributes)

    def fail_nth(self, n: int) -> None:
        """Make the ``n``-th call from now in this task that can fail do so, once; 0 takes that back.

        Counted are calls of kernel functions, not their inner allocations, and whatever the attributes spare.
        """
        if n < 0:
            raise ValueError(f"fail_nth({n}): the first call that can fail is 1, and 0 is none")
        self._nth = n
        self._task = self.kernel.current if n else None
        self.update()

    def watch(self) -> None:
        """Note from now on, until :meth:`clear`, which calls could fail, in :attr:`points`."""
        self._watching = True
        self.update()

    @property
    def points(self) -> list[FaultPoint]:
        """The calls that could fail, in the order first made, while :meth:`watch` or :meth:`fail_nth` was in force."""
        return list(self._points.values())

    @property
    def calls_left(self) -> int:
        """Calls that can fail until the one chosen by :meth:`fail_nth`; 0 when it has failed or none was chosen."""
        return self._nth

    def arm(self, task: Task, n: int) -> None:
        """Make the ``n``-th fault point that ``task`` reaches fail, as writing to its ``fail-nth`` does."""
        task.fail_nth = n
        self._armed = [one for one in self._armed if one.fail_nth and one is not task]
        self._armed.append(task)
        self.update()

    def clear(self) -> None:
        """Let everything succeed again, and forget the points."""
        for attr in self._attrs.values():
            attr.reset()
        self._points.clear()
        for task in self._armed:
            task.fail_nth = 0
        self._watching = False
        self.fail_nth(0)

    # -- attributes -------------------------------------------------------------------------------

    def attr(self, name: str) -> FaultAttr:
        """Return the attributes of a class of faults: ``failslab``, ``fail_page_alloc``, ``fail_usercopy``."""
        found = self._attrs.get(name)
        if found is None:
            found = self._attrs[name] = CLASSES[name](name)
        return found

    def set(self, name: str, attributes: dict[str, Any]) -> FaultAttr:
        """Put a class of faults in force with these attributes, and the defaults of the others."""
        attr = self.attr(name)
        checked = {key: _checked(attr, key, value) for key, value in attributes.items()}
        attr.reset()
        for key, value in {"probability": 100, **checked}.items():
            setattr(attr, key, value)
        self.update()
        return attr

    def update(self) -> None:
        """Notice that attributes or counters were changed."""
        k = self.kernel
        self.counting = self._watching or bool(self._nth)
        self.active = (
            self.counting
            or bool(self._calls)
            or any(task.fail_nth for task in self._armed)
            or any(attr.probability for attr in self._attrs.values())
        )
        # Every public call must come by while one of them is to be picked.
        k.vetting = self.counting or k.config.version is not None or k.config.lint

    def setup(self, attr: FaultAttr, text: str) -> int:
        """Set ``attr`` from ``"<interval>,<probability>,<space>,<times>"`` as ``setup_fault_attr()`` does: 1, or 0."""
        try:
            attr.interval, attr.probability, attr.space, attr.times = map(int, text.split(","))
        except ValueError:
            self.kernel.log.write("FAULT_INJECTION: failed to parse arguments")
            return 0
        return 1

    def _boot(self) -> None:
        for name in CLASSES:
            text = self.kernel.config.boot_arg(name)
            if text is not None and self.setup(self.attr(name), text):
                self.active = True

    # -- fault points -----------------------------------------------------------------------------

    def should_failslab(self, cache: KmemCache, size: int, gfp: int) -> bool:
        """Whether an allocation of ``cache`` fails. ``size`` is what the caller asked for."""
        attr = self.attr("failslab")
        assert isinstance(attr, Failslab)
        spared = self._spared(attr, gfp) or (attr.cache_filter and not cache.flags & _SLAB_FAILSLAB)
        if gfp & _NOFAIL:
            self._nofail()
        elif self.should_fail_ex(attr, cache.object_size, spared=spared, quiet=bool(gfp & _NOWARN)):
            return True
        k = self.kernel
        if not cache.flags & _SLAB_NOLEAKTRACE and k.config.kmemleak and k.kmemleak.enabled:
            self._kmemleak_object(attr, gfp & _KMEMLEAK_GFP)
        return False

    def _kmemleak_object(self, attr: Failslab, gfp: int) -> None:
        # kmemleak notes each object in one of its own, whose allocation is counted too. Nobody sees it fail: there is
        # a pool in reserve. The driver didn't ask for it, so it's no point where its call can be made to fail.
        if not self._calls and not attr.cache_filter and not self._spared(attr, gfp):
            self.should_fail_ex(attr, KMEMLEAK_OBJECT, quiet=True)

    @staticmethod
    def _spared(attr: Failslab | FailPageAlloc, gfp: int) -> bool:
        return attr.ignore_gfp_wait and bool(gfp & _DIRECT_RECLAIM)

    def should_fail_kmalloc(self, size: int, gfp: int = _GFP_KERNEL) -> bool:
        """Whether a ``kmalloc()`` fails that a kernel function makes for its own books.

        For functions that the books here take no memory for: they fail where the kernel's could.
        """
        # __kmalloc_index() of include/linux/slab.h
        index = 1 if 64 < size <= 96 else 2 if 128 < size <= 192 else max((size - 1).bit_length(), 3)
        return self.should_failslab(self.kernel.slab.kmalloc_cache(index, gfp), size, gfp)

    def should_fail_alloc_page(self, gfp: int, order: int) -> bool:
        """Whether an allocation of ``2**order`` pages fails."""
        attr = self.attr("fail_page_alloc")
        assert isinstance(attr, FailPageAlloc)
        if gfp & _NOFAIL:
            self._nofail()
            return False
        spared = self._spared(attr, gfp) or order < attr.min_order or (attr.ignore_gfp_highmem and bool(gfp & _HIGHMEM))
        return self.should_fail_ex(attr, 1 << order, spared=spared, quiet=bool(gfp & _NOWARN))

    def should_fail_usercopy(self) -> bool:
        """Whether a copy from or to user space fails."""
        return self.should_fail("fail_usercopy")

    def should_fail(self, name: str, size: int = 1, gfp: int = 0) -> bool:
        """Whether a call of class ``name`` fails that takes ``size`` of what its ``space`` counts."""
        return self.should_fail_ex(self.attr(name), size, quiet=bool(gfp & _NOWARN))

    def should_fail_ex(self, attr: FaultAttr, size: int, *, spared: bool = False, quiet: bool = False) -> bool:
        """Whether a call fails that takes ``size`` of ``attr``'s space; if so, say it (unless ``quiet``) and count it.

        ``spared`` calls are of those that the class leaves out; only :meth:`fail_nth` may choose them.
        """
        k = self.kernel
        in_task = not k.cpu.preempt_count & _NOT_TASK
        call = self._call() if in_task and self._calls else None
        if call is not None and not call.nofail:
            call.reached = True
        if not (call is not None and call.chosen and not call.nofail) and (
            spared or not self._next(attr, size, in_task)
        ):
            return False
        if not quiet:
            self._dump(attr)
        attr.used()
        self.failed = (k.seq, _stack())
        return True

    def _nofail(self) -> None:
        call = self._call()
        if call is not None:
            call.nofail = True

    def _call(self) -> PublicCall | None:
        task = self.kernel.current
        return next((call for call in reversed(self._calls) if call.task is task), None)

    def _next(self, attr: FaultAttr, size: int, in_task: bool) -> bool:
        task = self.kernel.current
        if in_task and task.fail_nth:
            task.fail_nth -= 1
            if task.fail_nth == 0:
                self.update()
            return task.fail_nth == 0
        return attr.due(size, task, self.kernel.random, in_task=in_task, stack=_stack)

    def _dump(self, attr: FaultAttr) -> None:
        log = self.kernel.log
        if attr.speaks(self.kernel.clock.now):
            log.write(f"FAULT_INJECTION: forcing a failure.\n{attr.message}")
            if attr.verbose > 1:
                log.write_all(["Call Trace:", *(f" {frame.symbol}" for frame in user_frames(_stack()))])

    # -- public calls -----------------------------------------------------------------------------

    def pass_on(self, caller: Task, task: Task) -> None:
        """``task`` does what ``caller`` wants done, as a process does the test's system calls: count its calls."""
        if self._task is caller:
            self._task = task

    def public(self, contract: Contract) -> PublicCall:
        """Return a ``with`` block for a kernel function that the driver called: one that :meth:`fail_nth` counts."""
        # A function that can't fail is not made to; neither is one that another task calls.
        mine = contract.fails and self.kernel.current is self._task
        return PublicCall(self, contract, chosen=mine and self._nth == 1)

    def enter(self, call: PublicCall) -> None:
        """Begin a public call; those around it wait."""
        self._calls.append(call)

    def leave(self, call: PublicCall) -> None:
        """End a public call, and count it if it could have failed."""
        self._calls.remove(call)
        if call.reached and call.contract.fails:
            if self._nth and call.task is self._task:
                self._nth -= 1
            found = user_frames(_stack())
            site = found[0] if found else None
            name = call.contract.name
            point = self._points.setdefault((name, site), FaultPoint(name, site))
            point.count += 1
        self.update()


def _stack() -> Stack:
    # Above the driver's frames are a dozen of kmock's own.
    return capture(2, MAX_STACK_TRACE_DEPTH + 12)


def _checked(attr: FaultAttr, key: str, value: Any) -> Any:
    """Return ``value`` for attribute ``key``; TypeError or ValueError in one sentence where it can't be."""
    known = {field.name: field for field in fields(attr) if field.init and field.name != "name"}
    if key not in known:
        near = get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise TypeError(f"{attr.name}() has no attribute {key!r}: {hint}")
    default = known[key].default
    if isinstance(default, bool):
        return bool(value)
    if isinstance(default, tuple):
        return (value,) if isinstance(value, str) else tuple(value)
    least = -1 if key == "times" else 0
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{attr.name}({key}={value!r}): a whole number from {least} on is expected")
    return value
