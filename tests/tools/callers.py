"""Which test uses which kernel function, read from the tests' own source.

A test uses a function where it, or anything of its module that it names (a helper, a table of cases, a fixture),
names the function: as a call, as a callback, or in quotes.
"""

from __future__ import annotations

import ast
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TESTS = Path(__file__).parents[1]
LAST = ("kinds", "samples", "conformance")
"""Folders whose programs show much at once: they stand for a function only where no unit test does."""


class Caller(NamedTuple):
    """A test: its file, relative to the tests' folder, and its name."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"[{self.name}](../tests/{self.path})"


class Module:
    """The top level of one file of tests."""

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(TESTS).as_posix()
        self.definitions = dict(_definitions(ast.parse(path.read_text(encoding="utf-8"))))

    @cached_property
    def direct(self) -> dict[str, set[str]]:
        """What each definition names itself."""
        return {name: {word for node in nodes for word in _names(node)} for name, nodes in self.definitions.items()}

    def tests(self) -> Iterator[str]:
        """Return the names of the definitions that run by themselves."""
        return (name for name, nodes in self.definitions.items() if _runs(name, nodes[0]))

    def named_by(self, test: str) -> set[str]:
        """Return all that ``test`` names, directly or through the rest of its module."""
        found: set[str] = set()
        waiting = [test]
        while waiting:
            names = self.direct[waiting.pop()] - found
            found |= names
            waiting.extend(names & self.direct.keys())
        return found


def _definitions(module: ast.Module) -> Iterator[tuple[str, list[ast.stmt]]]:
    found: dict[str, list[ast.stmt]] = {}
    for node in module.body:
        for name in _defined(node):
            found.setdefault(name, []).append(node)
    return iter(found.items())


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom):
        yield from (alias.asname for alias in node.names if alias.asname)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


def _runs(name: str, node: ast.stmt) -> bool:
    if name.startswith(("test", "Test")) or name == "program":
        return True
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any("scenario" in ast.unparse(decorator) for decorator in decorators)


def _names(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.arg):  # a fixture
            yield inner.arg
        elif isinstance(inner, ast.alias):
            yield inner.name
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from inner.value.split()


def callers() -> dict[str, Caller]:
    """Return, for every name that the tests use, the test to show for it: unit tests go first."""
    found: dict[str, Caller] = {}
    for module in map(Module, _files()):
        for test in module.tests():
            for name in module.named_by(test):
                found.setdefault(name, Caller(module.path, test))
    return found


def _files() -> Iterable[Path]:
    files = (path for path in TESTS.rglob("*.py") if path.parent != TESTS / "tools")
    return sorted(files, key=lambda path: (path.relative_to(TESTS).parts[0] in LAST, path.as_posix()))
