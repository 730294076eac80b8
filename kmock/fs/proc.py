"""The files of /proc that tell of memory (``mm/vmstat.c``, ``mm/slab_common.c``, ``fs/proc/meminfo.c``, sysctl)."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING

from kmock.fs.debugfs import kstrtoll
from kmock.fs.meminfo import meminfo
from kmock.mm import slab_common, vmstat

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.fs.files import KernelFiles

_SHOWN = {
    "buddyinfo": vmstat.buddyinfo,
    "meminfo": meminfo,
    "pagetypeinfo": vmstat.pagetypeinfo,
    "slabinfo": slab_common.slabinfo,
    "vmstat": vmstat.vmstat,
    "zoneinfo": vmstat.zoneinfo,
}
_INT_MAX = (1 << 31) - 1
_MAX_SCALE_FACTOR = 3000


def attach(files: KernelFiles) -> None:
    """Add ``/proc/slabinfo`` and the like."""
    for name, show in _SHOWN.items():
        files.add(f"/proc/{name}", partial(show, files.kernel))


def attach_resources(files: KernelFiles) -> None:
    """Add ``/proc/iomem`` and ``/proc/ioports``."""
    resources = files.kernel.resources
    files.add("/proc/iomem", partial(resources.show, resources.iomem))
    files.add("/proc/ioports", partial(resources.show, resources.ioport))


def attach_sysctl(files: KernelFiles) -> None:
    """Add those files of ``/proc/sys/vm`` that size the page allocator's reserves."""
    zones = files.kernel.page_alloc.zones
    knobs = zones.tunables
    _sysctl(files, knobs, "min_free_kbytes", (0, _INT_MAX), zones.setup_watermarks)
    _sysctl(files, knobs, "watermark_scale_factor", (1, _MAX_SCALE_FACTOR), zones.setup_watermarks)

    def show_ratio() -> str:
        return "\t".join(map(str, knobs.lowmem_reserve_ratio)) + "\n"

    def set_ratio(text: str) -> None:
        # As with every array, a short line sets the first elements only (proc_dointvec, kernel/sysctl.c).
        words = [kstrtoll(word, -_INT_MAX, _INT_MAX) for word in text.split()][: len(knobs.lowmem_reserve_ratio)]
        ratio = (*words, *knobs.lowmem_reserve_ratio[len(words) :])
        knobs.lowmem_reserve_ratio = tuple(max(0, value) for value in ratio)
        zones.setup_lowmem_reserve()

    files.add("/proc/sys/vm/lowmem_reserve_ratio", show_ratio, set_ratio)

    def drop_caches(text: str) -> None:
        # 1 is about the page cache, 2 about everything that has a shrinker (fs/drop_caches.c).
        if kstrtoll(text, 1, 4) & 2:
            files.kernel.page_alloc.vmscan.drop_slab()

    files.add("/proc/sys/vm/drop_caches", lambda: "0\n", drop_caches)


def _sysctl(files: KernelFiles, owner: object, name: str, bounds: tuple[int, int], changed: Callable[[], None]) -> None:
    """Add a number as ``proc_dointvec_minmax()`` handles it: what is out of bounds is EINVAL."""

    def write(text: str) -> None:
        try:
            setattr(owner, name, kstrtoll(text, *bounds))
        except OSError as error:
            raise OSError(errno.EINVAL, error.strerror) from None
        changed()

    files.add(f"/proc/sys/vm/{name}", lambda: f"{getattr(owner, name)}\n", write)
