"""Secrets: what comes from the line whose memory kfree_sensitive() takes back is to be cleared."""

from __future__ import annotations

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kfree_sensitive, kmalloc


def key():
    p = kmalloc(32, GFP_KERNEL)
    p[0:32] = b"\x42" * 32
    return p


def found(k):
    return [report.kind for report in k.reports]


def test_one_advice_for_each_place():
    with kmock.boot(lint=True) as k:
        kfree_sensitive(key())
        for _ in range(2):
            kfree(key())
        kfree(key())
        assert found(k) == ["secret-not-zeroed"] * 2


def test_memory_of_the_same_cache_from_elsewhere_is_none():
    with kmock.boot(lint=True) as k:
        kfree_sensitive(key())
        p = kmalloc(32, GFP_KERNEL)
        p[0] = 1
        kfree(p)
        assert found(k) == []


def test_cleared_is_cleared():
    with kmock.boot(lint=True) as k:
        kfree_sensitive(key())
        p = key()
        p[0:32] = bytes(32)
        kfree(p)
        assert found(k) == []


def test_nothing_is_learnt_where_no_advice_is_wanted():
    with kmock.boot() as k:
        kfree_sensitive(key())
        kfree(key())
        assert k.slab.sensitive is None
        assert found(k) == []
