"""``struct address_space``: the pages of a file, and the areas that show them (``include/linux/fs.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmock.mm.vma import vm_area_struct


class address_space:
    """What ``file->f_mapping`` and ``inode->i_mapping`` are. A device's has areas and no pages."""

    __slots__ = ("__weakref__", "a_ops", "can_writeback", "host", "i_mmap", "private_data")

    def __init__(self, host: Any) -> None:
        self.host = host
        """The inode."""
        self.i_mmap: dict[vm_area_struct, None] = {}
        """The areas that show it, in the order in which they came."""
        self.a_ops: Any = None
        self.private_data: Any = None
        self.can_writeback = False
        """``mapping_can_writeback()``: whether what is written to its pages has to go to a disk."""
