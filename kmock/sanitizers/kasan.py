"""Bad accesses, in the manner of KASAN (``mm/kasan/``) and beyond it.

KASAN asks its shadow whether an address may be touched. kmock asks two questions: what the address
belongs to now, and which allocation the pointer was derived from. Where both agree KASAN's own
wording is used. Where only the second tells, because the address is valid but somebody else's, the
finding has no counterpart in the kernel and says so in its headline.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

from kmock.lang.device_value import DeviceValue
from kmock.sanitizers import shadow
from kmock.sanitizers.describe import describe, object_info, origin_stacks, place
from kmock.sanitizers.object import Allocation, FailedAllocation
from kmock.sanitizers.page_fault import instruction_fetch, page_fault
from kmock.stack import HERE

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.report import ObjectInfo, Report
    from kmock.stack import Stack

_PAST_THE_END: Final = {
    "slab-out-of-bounds-right",
    "slab-out-of-bounds-left",
    "slab-slack-access",
    "slab-redzone-jump",
    "alloc-wrong-sizeof",
}
# How the functions between a driver and this checker call an index or a length.
_ROLES: Final = {
    "index": "index",
    "offset": "offset",
    "start": "offset",
    "n": "length",
    "count": "length",
    "size": "length",
}


class Kasan:
    """Decides whether an access is bad, and reports it."""

    __slots__ = ("kernel", "on")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.on = kernel.config.kasan
        """Whether the simulated kernel is built with KASAN; without it findings have kmock's own headline."""

    # -- the check --------------------------------------------------------------------------------

    def check(self, address: int, n: int, *, write: bool, origin: Allocation | None, by: str = "") -> None:
        """Report what is wrong with accessing ``[address, address + n)``; raise where the CPU would fault."""
        k = self.kernel
        if self.check_place(address, n, write=write, origin=origin, by=by) and k.mem.check_loads and not write:
            k.kmsan.check_load(address, n, origin)

    def check_place(self, address: int, n: int, *, write: bool, origin: Allocation | None, by: str = "") -> bool:
        """:meth:`check` without a look at whether the bytes were ever written; return whether all is well."""
        if not self.kernel.mem.permits(address, write=write):
            self.page_fault(address, write=write, origin=origin, by=by, n=n)
        if origin is None or isinstance(origin, FailedAllocation):
            return self._check_address(address, n, write=write, by=by)
        return self._check_origin(address, n, write=write, origin=origin, by=by)

    def _check_origin(self, address: int, n: int, *, write: bool, origin: Allocation, by: str) -> bool:
        start = address - origin.addr
        live = origin.live
        if live and start >= 0 and start + n <= origin.size:
            return True
        k = self.kernel
        first_bad = address if not live or not 0 <= start < origin.size else origin.end
        there = k.mem.owner(first_bad)
        if not live and k.slab.still_typed(origin, there):
            return True
        foreign = there if there is not None and there is not origin and covers(there, first_bad) else None
        name = "" if foreign is not None else shadow.bug_name(k, first_bad)
        if not live:
            kind = after_free(origin, write=write, reused=foreign is not None)
            managed = kind == "devm-after-unbind"
            if not managed and "modules" in vars(k) and k.modules.life.freed_by_exit(origin):
                kind = "use-after-remove"
            elif "irqs" in vars(k) and k.irqs.torn_down(origin):
                kind = "irq-after-teardown"
        elif foreign is not None and origin.area == "slab":
            kind = "slab-redzone-jump"
        else:
            kind = past_the_end(origin, first_bad)
        self._report(kind, name, address, n, write=write, about=origin, by=by, now=foreign)
        return False

    def _check_address(self, address: int, n: int, *, write: bool, by: str) -> bool:
        """Walk what ``[address, address + n)`` belongs to, for a pointer that nobody knows the origin of."""
        k = self.kernel
        at = address
        end = address + n
        while at < end:
            there = k.mem.owner(at)
            if there is None:
                if name := shadow.bug_name(k, at):
                    kind = "page-use-after-free" if name == "use-after-free" else "slab-out-of-bounds-right"
                    self._report(kind, name, address, n, write=write, about=None, by=by)
                    return False
                at = (at | 0xFFF) + 1
            elif covers(there, at):
                at = there.end
            else:
                kind = past_the_end(there, at) if there.live else after_free(there, write=write)
                self._report(kind, shadow.bug_name(k, at), address, n, write=write, about=there, by=by)
                return False
        return True

    # -- reports ----------------------------------------------------------------------------------

    def _report(
        self,
        kind: str,
        name: str,
        address: int,
        n: int,
        *,
        write: bool,
        about: Allocation | None,
        by: str,
        now: Allocation | None = None,
        headline: str = "",
    ) -> Report | None:
        k = self.kernel
        stack = k.capture()
        symbol = f"{by}+0x0/0x0" if by else k.symbol(stack)
        lines = [
            f"{'Write' if write else 'Read'} of size {n} at addr {address:016x} by task {k.current!r}",
            *describe(k, address, about),
        ]
        stacks: dict[str, Stack] = {"access": stack}
        key = (about if about is not None else address >> 12, kind.partition("-")[0], about is None or about.live)
        if kind in _PAST_THE_END or kind.endswith("out-of-bounds"):
            chosen = chosen_by_device()
            if chosen is not None:
                role, value = chosen
                kind = ("dma" in vars(k) and k.dma.hearsay.kind(value.source)) or "mmio-value-unchecked"
                lines.append(f"The {role} is {value:#x}, as the device said at {value.source:#x}")
        if about is not None:
            stacks |= origin_stacks(about)
        if now is not None:
            lines.append(f"The memory now belongs to {now.what}, allocated at {place(now.alloc_stack)}")
            stacks["owner allocated"] = now.alloc_stack
        return k.report(
            kind,
            headline or self.headline(kind, name, symbol, about, address, write=write),
            stacks=stacks,
            lines=[*lines, *shadow.rows(k, address)],
            object=object_info(k, about, address) if about is not None else None,
            key=key,
            attributes={"address": address, "size": n, "access": "write" if write else "read"},
            taint="B",
        )

    def headline(
        self, kind: str, name: str, symbol: str, about: Allocation | None, address: int, *, write: bool
    ) -> str:
        """The kernel's first line for this access, or kmock's own where the kernel would be silent."""
        if name and self.on:
            return f"BUG: KASAN: {name} in {symbol}"
        if write and name and about is not None and (late := self.kernel.slub_headline(about, address)):
            return late
        if write and (late := getattr(about, "late_headline", "")):
            return str(late)
        return f"BUG: kmock: {kind} in {symbol}"

    def member_overflow(
        self, address: int, n: int, *, write: bool, what: str, member: str = "", headline: str = ""
    ) -> None:
        """Report an access of ``n`` bytes at ``address`` that leaves a struct member but not its object.

        ``what`` says how far, ``member`` of which member. Leaving the object too is the access's own finding.
        """
        about = self.kernel.mem.owner(address)
        if about is None or not covers(about, address) or address + n > about.end:
            return
        symbol = self.kernel.symbol(self.kernel.capture())
        own = f"BUG: kmock: intra-object-overflow in {symbol}"
        found = self._report(
            "intra-object-overflow", "", address, n, write=write, about=about, by="", headline=headline or own
        )
        if found is not None and member:
            found.lines = (f"{member}: {what}", *found.lines)

    def string_overflow(self, address: int, n: int, about: Allocation, by: str) -> None:
        """Report that string function ``by`` writes ``n`` bytes at ``address``, beyond the end of ``about``."""
        headline = f"BUG: kmock: string-overflow in {self.kernel.symbol(self.kernel.capture())}"
        found = self._report("string-overflow", "", address, n, write=True, about=about, by=by, headline=headline)
        if found is not None:
            found.lines = (f"{by}() writes {n} bytes into {about.end - address}", *found.lines)

    def wrong_test(self, failed: Allocation) -> None:
        """Report that the NULL of a failed allocation is asked whether it is an ERR_PTR."""
        k = self.kernel
        stack = k.capture()
        k.report(
            "slab-err-test-mismatch",
            f"BUG: kmock: slab-err-test-mismatch in {k.symbol(stack)}",
            lines=[f"IS_ERR() is asked of {failed.what}, and says no"],
            stacks={"access": stack, "allocated": failed.alloc_stack},
            key=(failed, "test"),
        )

    def misaligned(self, address: int, n: int, *, write: bool) -> None:
        """Advise against an access of ``n`` bytes at an address that is no multiple of ``n``."""
        k = self.kernel
        symbol = k.symbol(k.capture())
        access = f"{'Write' if write else 'Read'} of size {n} at addr {address:016x} by task {k.current!r}"
        k.report(
            "misaligned-access",
            f"BUG: kmock: misaligned-access in {symbol}",
            lines=[access],
            key=("misaligned", symbol),
        )

    def outside_python(self, size: int, n: int, *, write: bool) -> None:
        """Report an access of ``n`` bytes to a Python object of ``size`` bytes that stands for a C array."""
        k = self.kernel
        kind = "stack-out-of-bounds" if write else "global-out-of-bounds"
        symbol = k.symbol(k.capture())
        headline = f"BUG: KASAN: {kind} in {symbol}" if self.on else f"BUG: kmock: {kind} in {symbol}"
        lines = [f"{'Write' if write else 'Read'} of size {n} to an array of {size} bytes by task {k.current!r}"]
        k.report(kind, headline, lines=lines, attributes={"size": n}, taint="B")

    def describe(self, address: int, about: Allocation | None) -> list[str]:
        """KASAN's lines about the object at ``address``."""
        return describe(self.kernel, address, about)

    def info(self, about: Allocation, address: int) -> ObjectInfo:
        """Describe the object of a report."""
        return object_info(self.kernel, about, address)

    def report_free(
        self,
        kind: str,
        name: str,
        by: str,
        address: int,
        about: Allocation | None,
        *,
        headline: str = "",
        hint: str = "",
        **more: object,
    ) -> Report | None:
        """Report a bad free: ``name`` is ``double-free`` or ``invalid-free``, ``by`` the freeing function."""
        k = self.kernel
        stacks: dict[str, Stack] = {"access": k.capture()}
        if about is not None:
            stacks |= origin_stacks(about)
            k.census.told(about)
        # What kfree() hands an object of a cache on to is where KASAN looks.
        where = "__kmem_cache_free" if by == "kfree" and hasattr(about, "object_size") else by
        own = f"BUG: KASAN: {name} in {where}+0x0/0x0" if self.on else f"BUG: kmock: {kind} in {by}()"
        return k.report(
            kind,
            headline or own,
            stacks=stacks,
            lines=[f"Free of addr {address:016x} by task {k.current!r}", *describe(k, address, about)],
            object=object_info(k, about, address) if about is not None else None,
            key=(about if about is not None else address, "free"),
            hint=hint,
            taint="B",
        )

    def shadow(self, address: int) -> int:
        """The shadow byte of the granule at ``address``."""
        return shadow.shadow(self.kernel, address)

    def instruction_fetch(self, address: int, origin: Allocation | None) -> NoReturn:
        """The driver called data: an oops."""
        instruction_fetch(self.kernel, address, origin)

    def page_fault(self, address: int, *, write: bool, origin: Allocation | None, by: str = "", n: int = 1) -> NoReturn:
        """Nothing is mapped at ``address`` that kernel code may touch: report and end the task."""
        page_fault(self.kernel, address, n, write=write, origin=origin, by=by)


def chosen_by_device() -> tuple[str, DeviceValue] | None:
    """Return (what it is, value) of the index or length of the access under way, if a device chose it."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        for name in _ROLES.keys() & frame.f_locals.keys():
            value = frame.f_locals[name]
            if isinstance(value, DeviceValue):
                return _ROLES[name], value
        frame = frame.f_back  # type: ignore[assignment]  # None ends it
    return None


def covers(about: Allocation, address: int) -> bool:
    """Whether ``about`` lives and the byte at ``address`` is one of those that were asked for."""
    return about.live and about.addr <= address < about.end


def after_free(about: Allocation, *, write: bool, reused: bool = False) -> str:
    """Kind of report for touching a freed allocation."""
    if about.area == "stack":
        return "stack-use-after-return"
    if about.area == "mmio":
        return "mmio-after-unmap"
    if write and about.reserved:
        return "mempool-element-written"
    if about.area == "dma-pool":
        return f"dma-pool-{'write' if write else 'read'}-after-free"
    known = str(getattr(about, "stale_kind", ""))
    if about.area != "slab":
        return known or f"{about.area}-use-after-free"
    if reused and getattr(about, "typesafe", False):
        return "cache-typesafe-unchecked"
    if known:
        return known
    return "slab-use-after-reuse" if reused else f"slab-use-after-free-{'write' if write else 'read'}"


def past_the_end(about: Allocation, address: int) -> str:
    """Kind of report for touching ``address`` beside a living allocation."""
    if about.area == "mmio":
        return "mmio-out-of-range"
    if about.area != "slab":
        return f"{about.area}-out-of-bounds"
    if address < about.addr:
        return "slab-out-of-bounds-left"
    stored, offset = getattr(about, "seen_as", (None, 0))
    if stored is not None and not offset and address < about.addr + stored.layout(64).size:
        return "alloc-wrong-sizeof"
    return "slab-slack-access" if address < about.addr + about.usable else "slab-out-of-bounds-right"
