"""Calling what is no code."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import NULL


def test_calling_null_is_a_null_dereference(kernel):
    with kernel.expect("null-deref") as found, pytest.raises(kmock.KernelOops):
        NULL()
    assert found[0].headline == "BUG: kernel NULL pointer dereference, address: 0000000000000000"
    assert "#PF: error_code(0x0010) - not-present page" in found[0].lines


def test_calling_data_says_that_it_is_not_executable(kernel):
    p = kmalloc(64, GFP_KERNEL)
    with kernel.expect("wild-pointer-deref") as found, pytest.raises(kmock.KernelOops):
        p(1, 2)
    assert found[0].headline.startswith("kernel tried to execute NX-protected page")
    kfree(p)
