"""dma-debug's files in debugfs (``kernel/dma/debug.c``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from kmock.fs.debugfs import debugfs_create_u32
from kmock.sanitizers.dma_entries import HASH_FN_SHIFT, HASH_SIZE
from kmock.sanitizers.dma_entry import DIRECTIONS, TYPES

if TYPE_CHECKING:
    from kmock.fs.files import KernelFiles
    from kmock.sanitizers.dma_debug import DmaDebug
    from kmock.sanitizers.dma_entry import Mapping

ROOT: Final = "/sys/kernel/debug/dma-api"
_ERRORS: Final = ("dma map error check not applicable", "dma map error not checked", "dma map error checked")
_NAME_MAX: Final = 63


def attach(files: KernelFiles) -> None:
    """Add the files."""
    debug = files.kernel.dma.debug
    files.add(f"{ROOT}/disabled", lambda: "Y\n" if debug.disabled else "N\n")
    for name in ("error_count", "num_free_entries", "min_free_entries", "nr_total_entries"):
        files.add(f"{ROOT}/{name}", partial(_number, debug, name))
    for name in ("all_errors", "num_errors"):
        debugfs_create_u32(files, f"{ROOT}/{name}", debug, name)
    files.add(
        f"{ROOT}/driver_filter", lambda: f"{debug.driver_filter}\n" * bool(debug.driver_filter), partial(_filter, debug)
    )
    files.add(f"{ROOT}/dump", partial(_dump, debug))


def _number(debug: DmaDebug, name: str) -> str:
    return f"{getattr(debug, name)}\n"


def _filter(debug: DmaDebug, text: str) -> None:
    """``filter_write()``: the first word, or nothing where it does not begin with a letter or a digit."""
    log = debug.kernel.log
    if not text[:1].isalnum():
        if debug.driver_filter:
            log.write("DMA-API: switching off dma-debug driver filter")
        debug.driver_filter = ""
        return
    debug.driver_filter = text.split(maxsplit=1)[0][:_NAME_MAX]
    log.write(f"DMA-API: enable driver filter for driver [{debug.driver_filter}]")


def _dump(debug: DmaDebug) -> str:
    """``dump_show()``: every mapping, by the hash of its address."""
    return "".join(_row(debug, m) for m in sorted(debug, key=_index))


def _index(m: Mapping) -> int:
    return m.dma >> HASH_FN_SHIFT & HASH_SIZE - 1


def _row(debug: DmaDebug, m: Mapping) -> str:
    driver = debug.kernel.dma.title(m.dev).removesuffix(m.dev.name).rstrip()
    return (
        f"{m.dev.name} {driver} {TYPES[m.type]} idx {_index(m)} P={m.phys:x} N={m.phys >> 12:x} "
        f"D={m.dma:x} L={m.size:x} {DIRECTIONS[m.direction]} {_ERRORS[m.checked]}\n"
    )
