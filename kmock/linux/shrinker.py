"""``<linux/shrinker.h>``: caches that give memory back when there is little left.

def count(shrinker, sc): return len(cache)
def scan(shrinker, sc): ...; return freed

cache_shrinker = shrinker(count_objects=count, scan_objects=scan, seeks=DEFAULT_SEEKS)
register_shrinker(cache_shrinker, "cache")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.mm.vmscan import DEFAULT_SEEKS, SHRINK_EMPTY, SHRINK_STOP, shrink_control, shrinker

if TYPE_CHECKING:
    from kmock.machine import Kernel

SHRINKER_NUMA_AWARE = 1
SHRINKER_MEMCG_AWARE = 2


@api(since="2.6.23", until="6.7", sleeps=Sleeps.ALWAYS, undo="unregister_shrinker", fails=True)
def register_shrinker(k: Kernel, shrinker: shrinker, fmt: str = "", *args: object) -> int:
    """Let reclaim ask the cache; 0, or -ENOMEM. ``fmt`` and what follows name it in debugfs since 6.0."""
    return k.page_alloc.vmscan.register(shrinker)


@api(since="2.6.23", until="6.7", sleeps=Sleeps.ALWAYS)
def unregister_shrinker(k: Kernel, shrinker: shrinker) -> None:
    """Reclaim asks the cache no more."""
    k.page_alloc.vmscan.unregister(shrinker)


__getattr__ = header_getattr(__name__, {"shrinker_alloc", "shrinker_register", "shrinker_free", "set_shrinker"})
__all__ = [
    "DEFAULT_SEEKS",
    "SHRINKER_MEMCG_AWARE",
    "SHRINKER_NUMA_AWARE",
    "SHRINK_EMPTY",
    "SHRINK_STOP",
    "register_shrinker",
    "shrink_control",
    "shrinker",
    "unregister_shrinker",
]
