"""What the kernel's own memblock tests try, by function and case: tables and memory before, the call, what comes of it.

Sizes and offsets are bytes from B, where the simulator's 16 KiB of memory begin.
"""

from __future__ import annotations

from typing import Final

K: Final = 1024
END: Final = 16 * K
LINE: Final = 64
MAX: Final = (1 << 64) - 1

# (table before, (base, size) that the call is about, table after)
ADDED: Final = {
    "simple": ([], (4 * K, 4 * K), [(4 * K, 4 * K)]),
    "disjoint": ([(0, 4 * K)], (8 * K, 4 * K), [(0, 4 * K), (8 * K, 4 * K)]),
    "overlap_top": ([(8 * K, 8 * K)], (4 * K, 8 * K), [(4 * K, 12 * K)]),
    "overlap_bottom": ([(4 * K, 8 * K)], (8 * K, 8 * K), [(4 * K, 12 * K)]),
    "within": ([(4 * K, 16 * K)], (8 * K, 4 * K), [(4 * K, 16 * K)]),
    "twice": ([(4 * K, 4 * K)], (4 * K, 4 * K), [(4 * K, 4 * K)]),
    "between": ([(0, 4 * K), (8 * K, 4 * K)], (4 * K, 4 * K), [(0, 12 * K)]),
    "near_max": ([], (MAX - 4 * K, 8 * K), [(MAX - 4 * K, 4 * K)]),
}
REMOVED: Final = {
    "simple": ([(0, 4 * K), (8 * K, 4 * K)], (0, 4 * K), [(8 * K, 4 * K)]),
    "absent": ([(0, 4 * K)], (8 * K, 4 * K), [(0, 4 * K)]),
    "overlap_top": ([(8 * K, 8 * K)], (4 * K, 8 * K), [(12 * K, 4 * K)]),
    "overlap_bottom": ([(4 * K, 8 * K)], (8 * K, 8 * K), [(4 * K, 4 * K)]),
    "within": ([(4 * K, 12 * K)], (8 * K, 4 * K), [(4 * K, 4 * K), (12 * K, 4 * K)]),
    "only_region": ([(4 * K, 4 * K)], (4 * K, 4 * K), []),
    "near_max": ([(MAX - 8 * K, 8 * K)], (MAX - 4 * K, 8 * K), [(MAX - 8 * K, 4 * K)]),
    "overlap_two": ([(0, 8 * K), (12 * K, 8 * K)], (4 * K, 12 * K), [(0, 4 * K), (16 * K, 4 * K)]),
}
# (memory before, memory after rounding to 4 KiB)
TRIMMED: Final = {
    "aligned": ([(0, 8 * K)], [(0, 8 * K)]),
    "too_small": ([(0, 8 * K), (12 * K, 100)], [(0, 8 * K)]),
    "unaligned_base": ([(0, 4 * K), (8 * K + 2, 8 * K - 2)], [(0, 4 * K), (12 * K, 4 * K)]),
    "unaligned_end": ([(0, 4 * K), (8 * K, 8 * K - 2)], [(0, 4 * K), (8 * K, 4 * K)]),
}

# By direction: (reserved before, (size, align), where it lies; None for nowhere)
GAPS: Final = [(at, K) for at in range(0, END, K + 256)]
GENERIC: Final = {
    "in_between": ([(32, 8128), (8224, 8128)], (64, 32), 8160),
    "small_gaps": (GAPS, (K, LINE), None),
    "all_reserved": ([(0, END)], (256, LINE), None),
    "no_space": ([(0, END - 256)], (K, LINE), None),
    "limited_space": ([(0, END - 256)], (256, LINE), END - 256),
    "too_large": ([], (2 * END, LINE), None),
}
DOWN: Final = {
    "simple": ([], (2, LINE), END - LINE),
    "disjoint": ([(END - 2, 2)], (16, 2 * LINE), END - 2 * LINE),
    "before": ([(END - 576, 64)], (512, LINE), END - 512),
    "after": ([(END - LINE, 8)], (512, LINE), END - LINE - 512),
    "second_fit": ([(END - 512, 512), (END - K, 256)], (K, LINE), END - 2 * K),
    **GENERIC,
}
UP: Final = {
    "simple": ([], (2, LINE), 0),
    "disjoint": ([(0, 2)], (16, 2 * LINE), 2 * LINE),
    "before": ([(64, 512)], (64, LINE), 0),
    "after": ([(0, 64)], (512, LINE), 64),
    "second_fit": ([(0, 512), (768, 256)], (K, LINE), K),
    **GENERIC,
}
# By direction: (reserved before, (size, align, lowest address), where it lies)
FROM_GENERIC: Final = {
    "simple": ([], (16, LINE, END - LINE), END - LINE),
    "misaligned": ([], (32, LINE, END - 2 * LINE + 1), END - LINE),
    "min_addr_cap": ([(K, 15 * K)], (K, LINE, -K), 0),
}
FROM_DOWN: Final = {
    "high_addr": ([], (64, LINE, END - LINE + 1), END - LINE),
    "no_space_above": ([(END - 2 * LINE, 2 * LINE)], (32, LINE, END - 2 * LINE), END - 3 * LINE),
    **FROM_GENERIC,
}
FROM_UP: Final = {
    "high_addr": ([], (64, LINE, END - LINE + 1), 0),
    "no_space_above": ([(END - 2 * LINE, 2 * LINE)], (32, LINE, END - 2 * LINE), 0),
    **FROM_GENERIC,
}
# By direction: (reserved before, (size, lowest, highest address), where it lies), all aligned to a cache line
RANGE_GENERIC: Final = {
    "exact_address": ([], (K, 2 * LINE, 2 * LINE + K), 2 * LINE),
    "low_max": ([], (K, 0, LINE), None),
    "min_reserved": ([(0, 2 * K)], (K, K, 3 * K), 2 * K),
    "max_reserved": ([(END - 2 * K, 2 * K)], (K, END - 3 * K, END - K), END - 3 * K),
    "reserved_full_merge": ([(0, K), (2 * K, K)], (K, K, 2 * K), K),
    "reserved_all": ([(0, END)], (K, 0, END), None),
}
RANGE_DOWN: Final = {
    "simple": ([], (128, 128, 512), 384),
    "misaligned": ([], (128, 128, 514), 384),
    "narrow_range": ([], (256, 512, 640), 384),
    "reserved_with_space": ([(END - 128, 128), (END - 512, 64)], (64, END - 448, END - 128), END - 192),
    "reserved_no_space": ([(END - 256, 256), (END - K, 256)], (576, END - 768, END - 256), END - K - 576),
    "cap_max": ([], (256, END - 512, END + 256), END - 256),
    "cap_min": ([], (K, -K, END), END - K),
    **RANGE_GENERIC,
}
RANGE_UP: Final = {
    "simple": ([], (128, 128, 512), 128),
    "misaligned": ([], (128, 130, 512), 192),
    "narrow_range": ([], (256, 512, 640), 0),
    "reserved_with_space": ([(END - 128, 128), (END - 512, 64)], (64, END - 448, END - 128), END - 448),
    "reserved_no_space": ([(END - 256, 256), (END - K, 256)], (576, END - 768, END - 256), 0),
    "cap_max": ([], (256, K, END + 256), K),
    "cap_min": ([], (K, -K, END), 0),
    **RANGE_GENERIC,
}
