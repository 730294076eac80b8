"""Findings made by hand, so that what is shown of them doesn't hang on how they are found."""

from __future__ import annotations

from kmock.report import Context, ObjectInfo, Report
from kmock.stack import capture

CONTEXT = Context(
    comm="test",
    pid=101,
    cpu=1,
    preempt_count=0,
    irqs_off=False,
    rcu_depth=0,
    locks=(),
    time=4_000_000,
    where="process",
)
OBJECT = ObjectInfo(
    address=0xFFFF888003A41000,
    size=64,
    what="object of cache kmalloc-64",
    cache="kmalloc-64",
    offset=8,
    dump=("ffff888003a41000: 6b 6b  kk",),
)
LINES = (
    "Read of size 4 at addr ffff888003a41008 by task test/101",
    "Memory state around the buggy address:",
    " ffff888003a40f80: fc fc",
    ">ffff888003a41000: fa fb",
    "                      ^",
    " ffff888003a41080: fc fc",
    " ffff888003a41100: ff ff",
)


def take():
    return capture(1)


def allocate():
    return take()  # allocated


def free():
    return take()  # freed


def read(twice=lambda first, second: second):
    # The line above this one is shown too.
    return twice(1, take())  # access


def use_after_free(**changes):
    stacks = {"allocated": allocate(), "freed": free(), "access": read()}
    # What the driver called is kmock's in real life: leave `take` itself out.
    return Report(
        **{
            "kind": "slab-use-after-free-read",
            "headline": "BUG: KASAN: use-after-free in read+0x10/0x20",
            "stacks": {role: stack[2:] for role, stack in stacks.items()},
            "context": CONTEXT,
            "object": OBJECT,
            "lines": LINES,
            "hint": "keep the object until its last user is gone",
            **changes,
        }
    )


def leak(**changes):
    return use_after_free(
        **{
            "kind": "leak-unreachable",
            "headline": "unreferenced object 0xffff888003a41000 (size 64):",
            "stacks": {"allocated": allocate()[2:]},
            "lines": (),
            **changes,
        }
    )
