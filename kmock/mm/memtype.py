"""Which cache attribute each physical range is mapped with (``arch/x86/mm/pat/memtype.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kmock.machine import Kernel

WB: Final = 0
WC: Final = 1
UC_MINUS: Final = 2
UC: Final = 3
WT: Final = 4
WP: Final = 5
NAMES: Final = ("write-back", "write-combining", "uncached-minus", "uncached", "write-through", "write-protected")

# What can't stand for what: (requested, got) (is_new_memtype_allowed()).
_REFUSED: Final = {(UC_MINUS, WB), (WC, WB), (WT, WB), (WT, WC)}


class MemTypes:
    """The attributes in use, one entry for each mapping."""

    __slots__ = ("_entries", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._entries: list[tuple[int, int, int]] = []

    def reserve(self, start: int, end: int, wanted: int) -> tuple[int, int]:
        """``memtype_reserve()``: 0 and the type that the range gets, or -EBUSY where it has several."""
        # The address range of devices is uncached in the MTRRs, so write-back is not to be had there.
        kind = UC_MINUS if wanted == WB else wanted
        found = [t for s, e, t in self._entries if s < end and start < e]
        if found:
            kind = found[0]
            other = next((t for t in found if t != kind), None)
            if other is not None:
                self._conflict(start, end, kind, other, wanted)
                return -errno.EBUSY, kind
        self._entries.append((start, end, kind))
        return 0, kind

    def lookup(self, phys: int) -> int:
        """``lookup_memtype()``: the type that a physical page is mapped with; uncached-minus where nobody has said."""
        if self.kernel.ram.exists(phys):
            return WB
        return next((t for s, e, t in self._entries if s <= phys < e), UC_MINUS)

    def free(self, start: int, end: int) -> bool:
        """``memtype_free()``: forget a mapping; False where there was none."""
        for i, (s, e, _) in enumerate(self._entries):
            if (s, e) == (start, end):
                del self._entries[i]
                return True
        return False

    def _conflict(self, start: int, end: int, kind: int, other: int, wanted: int) -> None:
        log = self.kernel.log
        task = self.kernel.current
        where = f"[mem {start:#010x}-{end - 1:#010x}]"
        log.write(
            f"x86/PAT: {task.comm}:{task.pid} conflicting memory types {start:x}-{end:x} {NAMES[kind]}<->{NAMES[other]}"
        )
        log.write(f"x86/PAT: memtype_reserve failed {where}, track {NAMES[kind]}, req {NAMES[wanted]}")


def allowed(wanted: int, got: int) -> bool:
    """``is_new_memtype_allowed()``: whether a mapping of type ``got`` will do for ``wanted``."""
    return (wanted, got) not in _REFUSED
