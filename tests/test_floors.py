"""The floors of the house: a module imports from its own floor or below, and nothing imports in a circle."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "kmock"

# From the ground up. A name is a module or a package directly under kmock/.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("current", "config", "config_nodes", "config_values", "config_yaml", "report", "kinds", "stack", "errors"),
    ("hw",),
    ("lang",),
    ("sanitizers", "fault"),
    ("kernel",),
    ("mm",),
    ("dma", "fs", "drivers"),
    ("user",),
    ("machine", "subsystems", "__init__"),
    ("explore",),
    ("linux",),
    ("plugin", "reporting", "cli"),
)
FLOOR_OF = {name: height for height, names in enumerate(FLOORS) for name in names}

# (importing module, imported module): why it must look up. Keep it short; each entry is a debt.
ALLOWED: dict[tuple[str, str], str] = {}


@dataclass(frozen=True)
class Import:
    source: str
    target: str
    line: int
    lazy: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def floor_name(module: str) -> str:
    """``kmock.mm.slub`` stands on the floor of ``mm``; ``kmock`` itself is ``__init__``."""
    return [*module.split("."), "__init__"][1]


def modules_under(root: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def imports_of(module: str, path: Path, known: dict[str, Path]) -> list[Import]:
    """Every import of one of `known` that runs, at import time or (lazy) in a function."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: list[Import] = []

    def targets(node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        base = package[: len(package) - node.level + 1] if node.level else []
        origin = ".".join(base + (node.module.split(".") if node.module else []))
        # "from kmock.mm import slub" means the module slub; "from kmock.mm.slub import Slub" the module kmock.mm.slub.
        names = [f"{origin}.{alias.name}" for alias in node.names]
        return sorted({name if name in known else origin for name in names})

    def visit(node: ast.AST, *, lazy: bool) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.extend(
                Import(module, target, node.lineno, lazy)
                for target in targets(node)
                if target == "kmock" or target.startswith("kmock.")
            )
            return
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and is_type_checking(node.test):
            children = list(node.orelse)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in children:
            visit(child, lazy=lazy)

    visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)), lazy=False)
    return found


def all_imports(root: Path) -> list[Import]:
    known = modules_under(root)
    return [item for module, path in known.items() for item in imports_of(module, path, known)]


def floor_offenders(imports: list[Import]) -> list[str]:
    offenders = []
    for item in imports:
        below, above = FLOOR_OF.get(floor_name(item.source)), FLOOR_OF.get(floor_name(item.target))
        if below is None or above is None or (item.source, item.target) in ALLOWED:
            continue
        if above > below:
            kind = " (in a function)" if item.lazy else ""
            offenders.append(f"{item}{kind}: floor {below} {FLOORS[below]} may not look up to floor {above}")
    return offenders


def cycles(imports: list[Import]) -> list[str]:
    """Circles among the imports that run at import time (a lazy one cannot close a circle then)."""
    graph: dict[str, set[str]] = {}
    for item in imports:
        if not item.lazy and item.source != item.target:
            graph.setdefault(item.source, set()).add(item.target)
    found: set[tuple[str, ...]] = set()
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> None:
        if module in trail:
            circle = trail[trail.index(module) :]
            start = circle.index(min(circle))
            found.add((*circle[start:], *circle[:start]))
            return
        if module in done:
            return
        for target in sorted(graph.get(module, ())):
            walk(target, [*trail, module])
        done.add(module)

    for module in sorted(graph):
        walk(module, [])
    return [" -> ".join((*circle, circle[0])) for circle in sorted(found)]


def listing(title: str, offenders: list[str]) -> str:
    return "\n  ".join([f"{title}:", *offenders])


# --- the house itself ------------------------------------------------------------------------------------------------


def test_every_module_has_a_floor():
    homeless = sorted({floor_name(module) for module in modules_under(ROOT)} - set(FLOOR_OF))
    assert not homeless, listing("no floor in FLOORS for", [f"kmock/{name}" for name in homeless])


def test_imports_go_down():
    offenders = floor_offenders(all_imports(ROOT))
    assert not offenders, listing("imports that look up", offenders)


def test_no_import_cycles():
    circles = cycles(all_imports(ROOT))
    assert not circles, listing("import cycles", circles)


def test_every_import_names_a_module_that_exists():
    known = modules_under(ROOT)
    missing = [str(item) for item in all_imports(ROOT) if item.target not in known]
    assert not missing, listing("imports of what is not there", missing)


def test_allowed_exceptions_are_still_needed():
    used = {(item.source, item.target) for item in all_imports(ROOT)}
    stale = [f"{source} -> {target}" for source, target in ALLOWED if (source, target) not in used]
    assert not stale, listing("stale entries of ALLOWED", stale)


# --- the test's own eyes ---------------------------------------------------------------------------------------------


def house(tmp_path: Path, sources: dict[str, str]) -> list[Import]:
    root = tmp_path / "kmock"
    for name, text in {"__init__": "", **sources}.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return all_imports(root)


def test_sees_an_import_upwards(tmp_path):
    (offender,) = floor_offenders(house(tmp_path, {"mm/slub": "", "hw/ram": "import os\nfrom kmock.mm import slub\n"}))
    assert offender.startswith("kmock.hw.ram:2 imports kmock.mm.slub: floor 1 ('hw',) may not look up to floor 5")


def test_sees_a_lazy_and_a_relative_import_upwards(tmp_path):
    imports = house(tmp_path, {"mm/slub": "", "hw/ram": "def f():\n    from ..mm import slub\n"})
    (offender,) = floor_offenders(imports)
    assert offender.startswith("kmock.hw.ram:2 imports kmock.mm.slub (in a function)")


def test_downwards_and_sideways_are_fine(tmp_path):
    imports = house(
        tmp_path, {"mm/slub": "import kmock.hw.ram\nfrom kmock.mm import page", "mm/page": "", "hw/ram": ""}
    )
    assert len(imports) == 2
    assert not floor_offenders(imports)


def test_imports_for_types_do_not_count(tmp_path):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kmock.mm import slub\nelse:\n    import kmock.hw.mmu\n"
    assert [str(item) for item in house(tmp_path, {"mm/slub": "", "hw/mmu": "", "hw/ram": text})] == [
        "kmock.hw.ram:5 imports kmock.hw.mmu"
    ]


def test_sees_a_cycle_once(tmp_path):
    imports = house(tmp_path, {"mm/a": "import kmock.mm.b", "mm/b": "import kmock.mm.c", "mm/c": "import kmock.mm.a"})
    assert cycles(imports) == ["kmock.mm.a -> kmock.mm.b -> kmock.mm.c -> kmock.mm.a"]


def test_a_lazy_import_closes_no_cycle(tmp_path):
    assert not cycles(house(tmp_path, {"mm/a": "import kmock.mm.b", "mm/b": "def f():\n    import kmock.mm.a"}))
