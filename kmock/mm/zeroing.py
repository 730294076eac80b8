"""Memory that is zeroed twice, or in two steps where ``kzalloc()`` does it in one (``zalloc-simple.cocci``)."""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING, Final

from kmock.lang.struct import as_ptr
from kmock.mm.gfp import __GFP_ZERO
from kmock.mm.page import PageBlock
from kmock.sanitizers.describe import object_info
from kmock.sanitizers.object import UNWRITTEN
from kmock.stack import line_of, site

if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation

_int = int.__int__
_JUMPS: Final = frozenset((*dis.hasjrel, *dis.hasjabs))
_MAY_STORE: Final = ("CALL", "STORE_ATTR", "STORE_SUBSCR")


def lint_memset(k: Kernel, s: Any, n: int) -> None:
    """The driver is about to zero ``n`` bytes at ``s``: report if its allocation did that, or could have done it.

    Only where one function does both, the one right after the other: elsewhere it may be a reset, or a buffer's reuse.
    """
    p = as_ptr(s)
    about = p.origin
    if about is None or not about.live or _int(p) != about.addr or n != about.size:
        return
    stack = k.capture()
    made, here = site(about.alloc_stack), site(stack)
    if made is None or here is None or made[0] is not here[0] or not _only_way(made[0], made[1], here[1]):
        return
    if about.written == UNWRITTEN:
        why = f"all {n} bytes were allocated and then zeroed"
    elif _zeroed(about) and _at_once(made[0], made[1], here[1]):
        why = f"all {n} bytes were allocated zeroed already"
    else:
        return
    k.report(
        "gfp-zero-redundant",
        f"BUG: kmock: gfp-zero-redundant in {k.symbol(stack)}",
        lines=[why],
        stacks={"access": stack, "allocated": about.alloc_stack},
        object=object_info(k, about, about.addr),
        key=("zeroed", here),
    )


def _zeroed(about: Allocation) -> bool:
    if isinstance(about, PageBlock):
        return bool(about.gfp & __GFP_ZERO)
    return bool(getattr(about, "zeroed", False))


def _only_way(code: CodeType, first: int, last: int) -> bool:
    """Whether whoever comes to instruction ``last`` has come from ``first``: no loop, no branch around it."""
    return first < last and not any(
        first < instruction.argval <= last and not first <= instruction.offset <= last
        for instruction in dis.get_instructions(code)
        if instruction.opcode in _JUMPS
    )


def _at_once(code: CodeType, first: int, last: int) -> bool:
    """Whether no statement between those of the two instructions calls or stores, so that the memory is still as it was."""
    statements = {line_of(code, first), line_of(code, last)}
    return not any(
        instruction.opname.startswith(_MAY_STORE) and line_of(code, instruction.offset) not in statements
        for instruction in dis.get_instructions(code)
        if first < instruction.offset < last
    )
