"""``<linux/sizes.h>``: ``SZ_4K`` and the like."""

from __future__ import annotations

from kmock.linux._header import header_getattr

SZ_1, SZ_2, SZ_4, SZ_8, SZ_16, SZ_32, SZ_64, SZ_128, SZ_256, SZ_512 = (1 << n for n in range(10))
SZ_1K, SZ_2K, SZ_4K, SZ_8K, SZ_16K, SZ_32K, SZ_64K, SZ_128K, SZ_256K, SZ_512K = (1 << n for n in range(10, 20))
SZ_1M, SZ_2M, SZ_4M, SZ_8M, SZ_16M, SZ_32M, SZ_64M, SZ_128M, SZ_256M, SZ_512M = (1 << n for n in range(20, 30))
SZ_1G, SZ_2G, SZ_4G, SZ_8G, SZ_16G, SZ_32G = (1 << n for n in range(30, 36))
SZ_64T = 1 << 46

__getattr__ = header_getattr(__name__)
__all__ = [
    "SZ_1",
    "SZ_1G",
    "SZ_1K",
    "SZ_1M",
    "SZ_2",
    "SZ_2G",
    "SZ_2K",
    "SZ_2M",
    "SZ_4",
    "SZ_4G",
    "SZ_4K",
    "SZ_4M",
    "SZ_8",
    "SZ_8G",
    "SZ_8K",
    "SZ_8M",
    "SZ_16",
    "SZ_16G",
    "SZ_16K",
    "SZ_16M",
    "SZ_32",
    "SZ_32G",
    "SZ_32K",
    "SZ_32M",
    "SZ_64",
    "SZ_64K",
    "SZ_64M",
    "SZ_64T",
    "SZ_128",
    "SZ_128K",
    "SZ_128M",
    "SZ_256",
    "SZ_256K",
    "SZ_256M",
    "SZ_512",
    "SZ_512K",
    "SZ_512M",
]
