"""The kernel's address space: what lies where (``arch/x86/include/asm/page_*_types.h``, ``pgtable_*_types.h``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 4096
STRUCT_PAGE_SIZE: Final = 64
MAX_ERRNO: Final = 4095


@dataclass(frozen=True, slots=True)
class Layout:
    """Address ranges of one architecture; ends are exclusive."""

    bits: int
    page_offset: int
    direct_map_size: int
    """Bytes of physical memory that the direct map can reach; memory above is highmem."""
    vmalloc_start: int
    vmalloc_end: int
    vmemmap: int
    task_size: int
    image: int
    """Where the kernel's text and data are mapped."""
    modules: int
    modules_end: int
    pkmap: int
    """Base of the kmap() window; 0 where there is no highmem."""
    fixmap: int

    def is_canonical(self, address: int) -> bool:
        """Whether the processor would accept ``address`` at all."""
        return self.bits == 32 or address < 1 << 47 or address >= (1 << 64) - (1 << 47)

    def is_vmalloc(self, address: int) -> bool:
        """``is_vmalloc_addr()``."""
        return self.vmalloc_start <= address < self.vmalloc_end


X86_64 = Layout(
    bits=64,
    page_offset=0xFFFF_8880_0000_0000,
    direct_map_size=1 << 46,
    vmalloc_start=0xFFFF_C900_0000_0000,
    vmalloc_end=0xFFFF_E900_0000_0000,
    vmemmap=0xFFFF_EA00_0000_0000,
    task_size=0x0000_7FFF_FFFF_F000,
    image=0xFFFF_FFFF_8000_0000,
    modules=0xFFFF_FFFF_A000_0000,
    modules_end=0xFFFF_FFFF_FF00_0000,
    pkmap=0,
    fixmap=0xFFFF_FFFF_FF5F_F000,
)

# 3 GiB for user space, 896 MiB of direct map, then vmalloc, the kmap window and the fixmap.
X86_32 = Layout(
    bits=32,
    page_offset=0xC000_0000,
    direct_map_size=896 << 20,
    vmalloc_start=0xF880_0000,
    vmalloc_end=0xFF80_0000,
    vmemmap=0xF800_0000,
    task_size=0xC000_0000,
    image=0xC100_0000,
    modules=0xF880_0000,
    modules_end=0xFF80_0000,
    pkmap=0xFF80_0000,
    fixmap=0xFFC0_0000,
)

LAYOUTS: Final = {"x86_64": X86_64, "x86_32": X86_32}
