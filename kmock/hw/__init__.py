"""The silicon: memory, page tables, processors and the clock. Nothing here knows of Linux."""
