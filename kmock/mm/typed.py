"""Kernel objects that Python objects stand for, and that have a release of their own, given to kfree()."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kmock.machine import Kernel

UNDO: Final = {"cdev": "cdev_del", "KmemCache": "kmem_cache_destroy", "Page": "__free_pages", "Task": "put_task_struct"}
"""The call that gives such an object back, by its class."""


def is_typed(k: Kernel, what: object) -> bool:
    """Whether ``what`` is one that the kernel allocated, not one that a struct of the driver's has in it."""
    return type(what).__name__ in UNDO and k.mem.embedded.address(what) is None


def free(k: Kernel, what: object) -> None:
    """kfree() of such an object; nothing is freed."""
    kind = "free-of-typed-object"
    undo = UNDO[type(what).__name__]
    k.report(
        kind,
        f"BUG: kmock: {kind} in kfree()",
        lines=[f"{what!r} is released by {undo}(), which also takes it off the kernel's books"],
        key=(what, "free"),
        hint=f"this object is given back with {undo}(), not kfree()",
    )
