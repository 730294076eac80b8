"""The kernel's headers: ``kmock/linux/slab.py`` is ``<linux/slab.h>``. The only thing that a driver imports."""

import sys

from kmock.linux._not_built import NotBuiltHeaders

sys.meta_path.append(NotBuiltHeaders)
