"""Writes the pages of ``docs/`` that are drawn from the source: ``kinds.md`` and ``api.md``."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kmock.linux
from kmock import kinds
from kmock.linux._api import Sleeps, Where
from tests.tools.callers import callers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kmock.kinds import Kind
    from kmock.linux._api import Contract
    from tests.tools.callers import Caller

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROGRAMS = ROOT / "tests" / "kinds"

FAMILIES = {
    "A": "Object access (slab and kmalloc)",
    "B": "Wrong release function and wrong owner",
    "C": "Leaks and life of a driver instance",
    "D": "Slab caches",
    "E": "GFP flags and allocation context",
    "F": "Pages",
    "G": "vmalloc, vmap, kvmalloc",
    "H": "ioremap, regions, MMIO",
    "I": "percpu",
    "J": "mempool",
    "K": "dma_pool",
    "L": "DMA mapping",
    "M": "Page cache and writeback",
    "N": "get_user_pages and pinning",
    "O": "Mapping into user space",
    "P": "User copies",
    "Q": "Locks",
    "R": "RCU",
    "S": "Interrupts and context balance",
    "T": "Timers, work, threads",
    "U": "Expectations only a simulated machine can check",
    "V": "What drivers and the kernel say themselves",
}
GENERATED = "<!-- Drawn from the source by `make docs`; edit that. -->\n"


# --- kinds ---------------------------------------------------------------------------------------------------------------


def kinds_page() -> str:
    """Return ``kinds.md``: every kind of finding, and the programs that show it."""
    rows = [("family", "kinds", "built"), ("---", "---:", "---:")]
    families = _families()
    rows += [(f"{letter}. {FAMILIES[letter]}", str(len(of)), str(_built(of))) for letter, of in families]
    everything = list(kinds.catalogue().values())
    rows.append(("all", str(len(everything)), str(_built(everything))))
    sections = [_family(letter, of) for letter, of in families]
    intro = (
        "Kinds of finding\n================\n\n"
        "A kind is *built* where a program under `tests/kinds/fire/` makes it fire and its correct twin under\n"
        "`tests/kinds/silent/` does not. Severity `lint` is off unless asked for.\n\n"
    )
    return GENERATED + intro + _table(rows) + "\n" + "\n".join(sections)


def _families() -> list[tuple[str, list[Kind]]]:
    ordered = sorted(kinds.catalogue().values(), key=lambda kind: kind.family)
    return [(letter, list(of)) for letter, of in groupby(ordered, key=lambda kind: kind.family)]


def _program(folder: str, kind: Kind) -> str:
    path = PROGRAMS / folder / f"{kind.id}.py"
    return f"[{folder}](../{path.relative_to(ROOT)})" if path.exists() else ""


def _built(of: Iterable[Kind]) -> int:
    return sum(bool(_program("fire", kind)) for kind in of)


def _family(letter: str, of: list[Kind]) -> str:
    rows = [("kind", "severity", "what triggers it", "shown by", "how to mend it"), ("---",) * 5]
    for kind in of:
        shown = " ".join(filter(None, (_program("fire", kind), _program("silent", kind)))) or "not built"
        narrower = f"; a `{kind.broader}`" if kind.broader else ""
        rows.append((f"`{kind.id}`", kind.severity, kind.trigger + narrower, shown, kind.hint))
    return f"## {letter}. {FAMILIES[letter]}\n\n{_table(rows)}"


# --- api -----------------------------------------------------------------------------------------------------------------


def api_page() -> str:
    """Return ``api.md``: every built kernel function by header, with its contract."""
    headers = [(name, _functions(name)) for name in _header_modules()]
    tested_by = callers()
    sections = [_header(name, functions, tested_by) for name, functions in headers if functions]
    count = sum(len(functions) for _, functions in headers)
    intro = (
        "Reference card\n==============\n\n"
        f"{count} kernel functions are built. *Sleeps* says whether a call may block; *not in* lists the contexts in\n"
        "which calling it is a mistake whatever it does; *undo* is the call that gives back what it returns; *test* is\n"
        "one of those that use it.\n\n"
    )
    return GENERATED + intro + "\n".join(sections)


def built_functions() -> list[str]:
    """Return the name of every kernel function that is built."""
    return [function.contract.name for module in _header_modules() for function in _functions(module)]


def _header_modules() -> Iterator[str]:
    for info in pkgutil.walk_packages(kmock.linux.__path__, "kmock.linux."):
        if not info.name.rpartition(".")[2].startswith("_"):
            yield info.name


def _functions(module_name: str) -> list[Any]:
    names = vars(importlib.import_module(module_name))
    # A header re-exports what others define: each function is listed where it is at home, whichever part of it that is.
    header = module_name.removeprefix("kmock.").replace(".", "/") + ".h"
    own = {id(f): f for f in names.values() if hasattr(f, "contract") and f.contract.header == header}
    return sorted(own.values(), key=lambda f: str(f.contract.name).lower())


def _header(module_name: str, functions: list[Any], tested_by: dict[str, Caller]) -> str:
    rows = [("function", "since", "sleeps", "not in", "can fail", "undo", "what it does", "test"), ("---",) * 8]
    rows += [(*_function(f), str(tested_by.get(f.contract.name, "none"))) for f in functions]
    return f"## `{module_name}`\n\n{_table(rows)}"


def _function(function: Any) -> tuple[str, ...]:
    contract: Contract = function.contract
    summary = (function.__doc__ or "").strip().split("\n\n", maxsplit=1)[0]
    return (
        f"`{contract.name}({', '.join(contract.parameters)})`",
        _releases(contract),
        "" if contract.sleeps is Sleeps.NEVER else contract.sleeps.value,
        _contexts(contract.illegal),
        "yes" if contract.fails else "",
        f"`{contract.undo}`" if contract.undo else "",
        " ".join(summary.split()),
    )


def _releases(contract: Contract) -> str:
    if not contract.until:
        return contract.since
    return f"{contract.since} to {contract.until}" + (
        f", then `{contract.replaced_by}`" if contract.replaced_by else ""
    )


def _contexts(illegal: Where) -> str:
    named = [where for where in Where if where in illegal]
    return ", ".join(str(where.name).lower() for where in named)


# --- both ----------------------------------------------------------------------------------------------------------------


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |\n" for row in rows)


PAGES = {"kinds.md": kinds_page, "api.md": api_page}


def main() -> None:
    """Write every page."""
    DOCS.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
