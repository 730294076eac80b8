"""Advice on NULL tests of what an allocation returned, by a look at the driver's source.

An allocation that waits until it succeeds needs no test, and one that may fail needs one. Which of them a call
is shows in the gfp flags that are written there; a call with flags from a variable may be either, and is left alone.
"""

from __future__ import annotations

import ast
import linecache
import re
from typing import TYPE_CHECKING, Final

from kmock.stack import user_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.stack import Frame

_FLAG: Final = re.compile(r"_*GFP_[A-Z0-9_]+")
_MAY_WAIT: Final = 0x400  # __GFP_DIRECT_RECLAIM
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class NullChecks:
    """Looks at each place of a call once."""

    __slots__ = ("_seen", "_trees", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._seen: set[tuple[str, int]] = set()
        self._trees: dict[str, ast.Module | None] = {}

    def look(self, call: str, gfp: int) -> None:
        """The driver calls ``call`` with ``gfp``: report a NULL test too many or too few of its result."""
        k = self.kernel
        stack = k.capture()
        frame = next(iter(user_frames(stack)), None)
        if frame is None or (frame.file, frame.line) in self._seen:
            return
        self._seen.add((frame.file, frame.line))
        said = self._verdict(frame, call, may_wait=bool(gfp & _MAY_WAIT))
        if said:
            kind = "mempool-null-check"
            headline = f"BUG: kmock: {kind} in {k.symbol(stack)}"
            k.report(kind, headline, lines=[said], stacks={"access": stack})

    def _verdict(self, frame: Frame, call: str, *, may_wait: bool) -> str:
        tree = self._tree(frame.file)
        found = _assignment(tree, frame.line, call) if tree is not None else None
        if found is None:
            return ""
        function, name = found
        tested = any(name in _tested(test) for test in _tests(function))
        if may_wait:
            return f"{call}() waits until it has an element: {name} is never NULL" if tested else ""
        used = any(_is_used(node, name) for node in ast.walk(function))
        return f"{call}() may return NULL here, and {name} is used without a test" if used and not tested else ""

    def _tree(self, file: str) -> ast.Module | None:
        if file not in self._trees:
            try:
                self._trees[file] = ast.parse("".join(linecache.getlines(file)))
            except SyntaxError:
                self._trees[file] = None
        return self._trees[file]


def _assignment(tree: ast.Module, line: int, call: str) -> tuple[_Function, str] | None:
    """Return the function with ``name = call(..., GFP_...)`` on ``line``, and the name; None where that isn't there."""
    for function in ast.walk(tree):
        if not isinstance(function, _Function):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and node.lineno <= line <= (node.end_lineno or line):
                value = node.value
                if isinstance(value, ast.Call) and _name(value.func).endswith(call) and _constant(value):
                    return function, ast.unparse(node.targets[0])
    return None


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _constant(call: ast.Call) -> bool:
    """Whether the flags, the last argument, are spelled out."""
    names = [_name(node) for node in ast.walk(call.args[-1]) if isinstance(node, ast.Name | ast.Attribute)]
    return bool(names) and all(_FLAG.search(name) or name == "gfp" for name in names)


def _tests(function: _Function) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield node.test


def _tested(test: ast.expr) -> set[str]:
    """What a condition asks about being NULL."""
    if isinstance(test, ast.BoolOp):
        return set().union(*(_tested(value) for value in test.values))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _tested(test.operand)
    if isinstance(test, ast.Call) and _name(test.func) in {"likely", "unlikely", "bool"}:
        return _tested(test.args[0])
    if isinstance(test, ast.Compare):
        return {ast.unparse(test.left)} if _is_null(test.comparators[0]) else set()
    return {ast.unparse(test)}


def _is_null(node: ast.expr) -> bool:
    return _name(node) == "NULL" or (isinstance(node, ast.Constant) and node.value in {0, None})


def _is_used(node: ast.AST, name: str) -> bool:
    """Whether it looks into what ``name`` points to."""
    return isinstance(node, ast.Subscript | ast.Attribute) and ast.unparse(node.value) == name
