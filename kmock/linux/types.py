"""``<linux/types.h>``, and the C language itself: pointers, structs and fixed-width integers."""

from __future__ import annotations

from kmock.lang.fields import guarded_by
from kmock.lang.integers import (
    be16,
    be32,
    be64,
    le16,
    le32,
    le64,
    s8,
    s16,
    s32,
    s64,
    u8,
    u16,
    u32,
    u64,
)
from kmock.lang.integers import be16 as __be16
from kmock.lang.integers import be32 as __be32
from kmock.lang.integers import be64 as __be64
from kmock.lang.integers import le16 as __le16
from kmock.lang.integers import le32 as __le32
from kmock.lang.integers import le64 as __le64
from kmock.lang.integers import s8 as __s8
from kmock.lang.integers import s8 as int8_t
from kmock.lang.integers import s16 as __s16
from kmock.lang.integers import s16 as int16_t
from kmock.lang.integers import s32 as __s32
from kmock.lang.integers import s32 as int32_t
from kmock.lang.integers import s64 as __s64
from kmock.lang.integers import s64 as int64_t
from kmock.lang.integers import s64 as loff_t
from kmock.lang.integers import s64 as ssize_t
from kmock.lang.integers import u8 as __u8
from kmock.lang.integers import u8 as char
from kmock.lang.integers import u8 as uint8_t
from kmock.lang.integers import u16 as __u16
from kmock.lang.integers import u16 as uint16_t
from kmock.lang.integers import u16 as umode_t
from kmock.lang.integers import u32 as __u32
from kmock.lang.integers import u32 as dev_t
from kmock.lang.integers import u32 as fmode_t
from kmock.lang.integers import u32 as gfp_t
from kmock.lang.integers import u32 as slab_flags_t
from kmock.lang.integers import u32 as uint32_t
from kmock.lang.integers import u32 as vm_fault_t
from kmock.lang.integers import u64 as __u64
from kmock.lang.integers import u64 as dma_addr_t
from kmock.lang.integers import u64 as pgoff_t
from kmock.lang.integers import u64 as phys_addr_t
from kmock.lang.integers import u64 as resource_size_t
from kmock.lang.integers import u64 as sector_t
from kmock.lang.integers import u64 as size_t
from kmock.lang.integers import u64 as uint64_t
from kmock.lang.integers import u64 as uintptr_t
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import Struct, addressof, offsetof, sizeof
from kmock.linux._header import header_getattr

__getattr__ = header_getattr(__name__)
__all__ = [
    "NULL",
    "Ptr",
    "Struct",
    "__be16",
    "__be32",
    "__be64",
    "__le16",
    "__le32",
    "__le64",
    "__s8",
    "__s16",
    "__s32",
    "__s64",
    "__u8",
    "__u16",
    "__u32",
    "__u64",
    "addressof",
    "be16",
    "be32",
    "be64",
    "char",
    "dev_t",
    "dma_addr_t",
    "fmode_t",
    "gfp_t",
    "guarded_by",
    "int8_t",
    "int16_t",
    "int32_t",
    "int64_t",
    "le16",
    "le32",
    "le64",
    "loff_t",
    "offsetof",
    "pgoff_t",
    "phys_addr_t",
    "resource_size_t",
    "s8",
    "s16",
    "s32",
    "s64",
    "sector_t",
    "size_t",
    "sizeof",
    "slab_flags_t",
    "ssize_t",
    "u8",
    "u16",
    "u32",
    "u64",
    "uint8_t",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "uintptr_t",
    "umode_t",
    "vm_fault_t",
]
