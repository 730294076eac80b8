"""Copies whose kernel side has a type, so that its size is known before a byte moves."""

from __future__ import annotations

import pytest

from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u8
from kmock.linux.uaccess import copy_from_user, copy_to_user


class Label(Struct):
    text: u8 * 16


@pytest.fixture
def label(kernel):
    p = kzalloc(16, GFP_KERNEL)
    yield Label.at(p)
    kfree(p)


@pytest.mark.parametrize("copy", [copy_to_user, lambda u, x, n: copy_from_user(x, u, n)])
def test_a_copy_longer_than_the_type_is_refused_whole(kernel, label, copy):
    u = kernel.user().buffer(64)
    with kernel.expect("usercopy-overflow-object") as found:
        assert copy(u, label, 17) == 17
    assert found[0].headline == "Buffer overflow detected (16 < 17)!"


@pytest.mark.parametrize("copy", [copy_to_user, lambda u, x, n: copy_from_user(x, u, n)])
def test_a_copy_of_the_whole_type_is_fine(kernel, label, copy):
    assert copy(kernel.user().buffer(64), label, 16) == 0


def test_a_local_array_has_its_size_too(kernel):
    with kernel.expect("usercopy-overflow-object"):
        assert copy_from_user(bytearray(4), kernel.user().buffer(8), 5) == 5
