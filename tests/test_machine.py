"""A kernel's life: what comes up when, side by side, and what is left after its end."""

from __future__ import annotations

import pytest

import kmock
from kmock.current import current
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.subsystems import Subsystem, Subsystems

SUBSYSTEMS = [(name, part) for name, part in vars(Subsystems).items() if isinstance(part, Subsystem)]


@pytest.mark.parametrize(("name", "part"), SUBSYSTEMS, ids=[name for name, _ in SUBSYSTEMS])
def test_every_subsystem_comes_up_once(name, part):
    with kmock.boot() as k:
        first = getattr(k, name)
        assert isinstance(first, part.cls)
        assert getattr(k, name) is first


def test_a_boot_brings_up_no_subsystem():
    with kmock.boot() as k:
        assert not {name for name, _ in SUBSYSTEMS} & vars(k).keys()


def test_kernels_side_by_side_see_nothing_of_each_other():
    with kmock.boot() as outer:
        p = kmalloc(64, GFP_KERNEL)
        with kmock.boot() as inner:
            assert current.kernel is inner
            assert kmalloc(64, GFP_KERNEL) == p
        assert [r.kind for r in inner.reports] == ["leak-unreachable"]
        assert current.kernel is outer
        kfree(p)
    assert not outer.reports


def test_a_call_without_a_kernel_says_how_to_boot_one():
    with pytest.raises(kmock.NoKernelError, match=r"take the `kernel` fixture, or boot one"):
        kmalloc(64, GFP_KERNEL)


def test_a_second_shutdown_does_nothing():
    k = kmock.boot()
    kmalloc(64, GFP_KERNEL)
    k.shutdown()
    k.shutdown()
    assert len(k.reports) == 1


def test_an_impossible_machine_is_refused():
    with pytest.raises(kmock.ConfigError, match=r"unknown key 'cpu': did you mean 'cpus'\?"):
        kmock.boot(cpu=2)
