"""The machine that a recording was made on, as boot options."""

from __future__ import annotations

from typing import Any

# What the kernels of the recordings had switched off, by what their descriptions say.
_WITHOUT_KASAN = ("nokasan", "plain", "without KASAN")
_WITHOUT_DEBUG_VM = ("DEBUG_VM off", "novm", "and DEBUG_VM")

# By the description of the layout: nodes that the plain "share evenly" doesn't give.
LAYOUTS = {
    "node0: 3G (2G below 4G, 1G above), cpus 0-1; node1: 2G above 4G, cpus 2-3": {
        "nodes": [{"memory": "3G", "cpus": [0, 1]}, {"memory": "2G", "cpus": [2, 3]}],
        "low_memory_top": "2G",
    },
}


def boot_options(machine: dict[str, Any], *, lint: bool) -> dict[str, Any]:
    """Return the keywords of ``kmock.boot()`` for a recording's ``machine``."""
    build = f"{machine['kernel']} {machine.get('config', '')}"
    kasan = not any(word in build for word in _WITHOUT_KASAN)
    options: dict[str, Any] = {
        "cpus": machine["cpus"],
        "kasan": kasan,
        "debug_vm": not any(word in build for word in _WITHOUT_DEBUG_VM),
        "cmdline": _cmdline(machine["boot"], kasan=kasan),
        "lint": lint,
    }
    layout = machine.get("layout")
    return options | (LAYOUTS[layout] if layout else {"memory": machine["memory"], "nodes": machine["nodes"]})


def _cmdline(boot: str, *, kasan: bool) -> str:
    # Recorded scenarios shared boots: each bad access was reported, not only the first of the boot.
    words = boot.split()
    if kasan and "kasan_multi_shot" not in words:
        words.append("kasan_multi_shot")
    return " ".join(words)
