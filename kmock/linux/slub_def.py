"""``<linux/slub_def.h>``: what SLUB's own structures offer."""

from __future__ import annotations

from kmock.linux._header import header_getattr
from kmock.linux.slab import kmem_cache, kmem_cache_name, kmem_cache_size

__getattr__ = header_getattr(__name__, {"kmem_cache_cpu", "nearest_obj", "obj_to_index", "objs_per_slab"})
__all__ = ["kmem_cache", "kmem_cache_name", "kmem_cache_size"]
