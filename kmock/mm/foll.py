"""``FOLL_*``: what a caller of ``get_user_pages()`` wants (``include/linux/mm.h``)."""

from __future__ import annotations

from typing import Final

FOLL_WRITE: Final = 0x01
FOLL_TOUCH: Final = 0x02
FOLL_GET: Final = 0x04
FOLL_DUMP: Final = 0x08
FOLL_FORCE: Final = 0x10
FOLL_NOWAIT: Final = 0x20
FOLL_NOFAULT: Final = 0x80
FOLL_HWPOISON: Final = 0x100
FOLL_MIGRATION: Final = 0x400
FOLL_TRIED: Final = 0x800
FOLL_REMOTE: Final = 0x2000
FOLL_ANON: Final = 0x8000
FOLL_LONGTERM: Final = 0x1_0000
FOLL_SPLIT_PMD: Final = 0x2_0000
FOLL_PIN: Final = 0x4_0000
FOLL_FAST_ONLY: Final = 0x8_0000

GUP_PIN_COUNTING_BIAS: Final = 1024
"""What a pin adds to the references of a page that is no compound page."""
