"""Memory that is zeroed twice, or in two steps."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.errno import ENOMEM
from kmock.linux.gfp import GFP_KERNEL, __get_free_page, free_page, get_zeroed_page
from kmock.linux.slab import kfree, kmalloc, kzalloc
from kmock.linux.string import memset
from kmock.linux.vmalloc import vfree, vmalloc


@pytest.fixture
def k():
    with kmock.boot(lint=True) as kernel:
        yield kernel


def zeroed_twice(size):
    p = kzalloc(size, GFP_KERNEL)
    if not p:
        return -ENOMEM
    memset(p, 0, size)
    kfree(p)
    return 0


def zeroed_page_twice():
    p = get_zeroed_page(GFP_KERNEL)
    memset(p, 0, 4096)
    free_page(p)


def allocated_then_zeroed(size):
    p = kmalloc(size, GFP_KERNEL)
    if not p:
        return -ENOMEM
    memset(p, 0, size)
    kfree(p)
    return 0


def in_a_loop_with_its_allocation():
    for _ in range(2):
        p = kmalloc(64, GFP_KERNEL)
        memset(p, 0, 64)
        kfree(p)


def page_then_zeroed():
    p = __get_free_page(GFP_KERNEL)
    memset(p, 0, 4096)
    free_page(p)


def vmalloc_then_zeroed():
    p = vmalloc(4096)
    memset(p, 0, 4096)
    vfree(p)


@pytest.mark.parametrize(
    "program",
    [
        lambda: zeroed_twice(64),
        lambda: zeroed_twice(16384),
        zeroed_page_twice,
        lambda: allocated_then_zeroed(64),
        lambda: allocated_then_zeroed(16384),
        in_a_loop_with_its_allocation,
        page_then_zeroed,
        vmalloc_then_zeroed,
    ],
)
def test_once_would_do(k, program):
    program()
    assert [r.kind for r in k.reports] == ["gfp-zero-redundant"]


def reused_in_a_loop():
    p = kmalloc(64, GFP_KERNEL)
    for _ in range(2):
        memset(p, 0, 64)
        p[0] = 1
    kfree(p)


def reused_from_call_to_call():
    p = None
    for _ in range(2):
        if p is None:
            p = kmalloc(64, GFP_KERNEL)
        memset(p, 0, 64)
        p[0] = 1
    kfree(p)


def wiped_after_use():
    p = kzalloc(64, GFP_KERNEL)
    p[0] = 1
    memset(p, 0, 64)
    kfree(p)


def peek(p):
    assert p[0:8] == bytes(8)


def wiped_after_a_call():
    p = kzalloc(64, GFP_KERNEL)
    peek(p)
    memset(p, 0, 64)
    kfree(p)


def in_part():
    p = kmalloc(64, GFP_KERNEL)
    memset(p, 0, 32)
    memset(p + 32, 0, 32)
    kfree(p)


def with_something_else():
    p = kmalloc(64, GFP_KERNEL)
    memset(p, 0xFF, 64)
    kfree(p)


def reset(p):
    memset(p, 0, 64)


def by_a_function_that_resets():
    p = kzalloc(64, GFP_KERNEL)
    reset(p)
    kfree(p)


@pytest.mark.parametrize(
    "program",
    [
        reused_in_a_loop,
        reused_from_call_to_call,
        wiped_after_use,
        wiped_after_a_call,
        in_part,
        with_something_else,
        by_a_function_that_resets,
    ],
)
def test_there_may_be_a_reason(k, program):
    program()
    assert k.reports == []


def test_it_is_only_advice():
    with kmock.boot() as k:
        page_then_zeroed()
        assert k.reports == []


def test_poisoning_takes_precedence_over_zeroing():
    with kmock.boot(kasan=False, cmdline="page_poison=1 init_on_free=1 init_on_alloc=1") as k:
        for _ in range(3):
            p = get_zeroed_page(GFP_KERNEL)
            assert p[0:4096] == bytes(4096)
            memset(p, 1, 4096)
            free_page(p)
        assert not k.reports
