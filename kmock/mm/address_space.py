"""``struct address_space``: the pages of a file, and the areas that show them (``include/linux/fs.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.optable import OpTable

if TYPE_CHECKING:
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct


class address_space_operations(OpTable):
    """What a file system does for the pages of its files, as far as the page cache asks for it.

    ``read_folio(file, page)`` and ``writepage(page, wbc)`` are given a locked page and unlock it; ``dirty_folio(mapping,
    page)`` says whether the page was clean.
    """

    fields = ("read_folio", "writepage", "dirty_folio")


class address_space:
    """What ``file->f_mapping`` and ``inode->i_mapping`` are. A device's has areas and no pages."""

    __slots__ = ("__weakref__", "a_ops", "can_writeback", "dirty", "error", "host", "i_mmap", "i_pages", "private_data")

    def __init__(self, host: Any) -> None:
        self.host = host
        """The inode."""
        self.i_mmap: dict[vm_area_struct, None] = {}
        """The areas that show it, in the order in which they came."""
        self.i_pages: dict[int, Page] = {}
        """The page cache: the pages that are in memory, by index. It has a reference to each."""
        self.dirty: set[int] = set()
        """Indexes of the pages that the disk has not got yet (``PAGECACHE_TAG_DIRTY``)."""
        self.error = 0
        """What a write came to that nobody has been told of (``AS_EIO``, ``AS_ENOSPC``): 0 or -errno."""
        self.a_ops: address_space_operations | None = None
        self.private_data: Any = None
        self.can_writeback = False
        """``mapping_can_writeback()``: whether what is written to its pages has to go to a disk."""

    @property
    def nrpages(self) -> int:
        """How many pages are in memory."""
        return len(self.i_pages)
