"""The kernel's headers: ``kmock/linux/slab.py`` is ``<linux/slab.h>``. The only thing that a driver imports."""
