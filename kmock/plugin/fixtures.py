"""The fixtures. For annotations, their types are in :mod:`kmock.plugin.types`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.drivers.core import device as Device
    from kmock.fault.inject import Faults
    from kmock.machine import Kernel
    from kmock.mm.dmapool_pool import dma_pool as DmaPool
    from kmock.mm.mempool_pool import mempool_t
    from kmock.mm.percpu_var import Cookie
    from kmock.plugin.contexts import GfpContext
    from kmock.plugin.dmesg import Dmesg
    from kmock.plugin.interleave import Attempt
    from kmock.plugin.watch import Watch
    from kmock.user.process import Process

WATCH: pytest.StashKey[Watch] = pytest.StashKey()
"""On an item: its kernel, and what has been found so far."""

IN_CALL: pytest.StashKey[bool] = pytest.StashKey()
"""On an item: its call has begun, so a fixture that starts now was asked for by the test's own code."""

ATTEMPT: pytest.StashKey[Attempt] = pytest.StashKey()
"""On an item whose interleavings are explored: the run that is being made."""

CONTEXTS = ("process", "softirq", "hardirq", "spinlock", "noio", "nofs")


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """A freshly booted machine; ``@pytest.mark.kernel(...)`` says which."""
    from kmock.plugin.watch import Watch  # noqa: PLC0415 -- here the engine is imported

    watch = Watch(request.node)
    request.node.stash[WATCH] = watch
    if request.node.stash.get(IN_CALL, False):
        watch.begin_call()
    yield watch.kernel
    watch.finish()


@pytest.fixture(params=CONTEXTS)
def gfp_context(request: pytest.FixtureRequest, kernel: Kernel) -> GfpContext:
    """Runs the test once in each execution context; ``.gfp`` is the best mask that is legal there."""
    from kmock.plugin.contexts import GfpContext  # noqa: PLC0415 -- comes with the engine

    context = GfpContext(kernel, request.param)
    request.node.stash[WATCH].context = context
    return context


@pytest.fixture
def dmesg(kernel: Kernel) -> Dmesg:
    """The kernel log: ``"out of memory" in dmesg``, ``dmesg()``, ``for line in dmesg``."""
    from kmock.plugin.dmesg import Dmesg  # noqa: PLC0415 -- comes with the engine

    return Dmesg(kernel)


@pytest.fixture
def user(kernel: Kernel) -> Iterator[Process]:
    """A simulated user process; what it has open is closed before the fixtures that it was made after end."""
    process = kernel.user()
    yield process
    process.exit()


@pytest.fixture
def device(kernel: Kernel) -> Device:
    """A device that is bound to a driver and can address 32 bits; unbound when the kernel ends."""
    return kernel.device("device", dma_mask=0xFFFF_FFFF)


@pytest.fixture
def dma_pool(device: Device) -> Iterator[DmaPool]:
    """A pool of 64-byte blocks for ``device``, aligned to their size; destroyed if the test doesn't."""
    from kmock.linux.dmapool import dma_pool_create, dma_pool_destroy  # noqa: PLC0415 -- comes with the engine

    pool = dma_pool_create("dma_pool", device, 64, 64, 0)
    assert not isinstance(pool, int)
    yield pool
    if pool.live:
        dma_pool_destroy(pool)


@pytest.fixture
def percpu(kernel: Kernel) -> Iterator[Cookie]:
    """A ``u64`` for every processor, from ``alloc_percpu()``: ``per_cpu_ptr(percpu, 0).value``; freed if the test doesn't."""
    from kmock.linux.percpu import alloc_percpu, free_percpu  # noqa: PLC0415 -- comes with the engine
    from kmock.linux.types import u64  # noqa: PLC0415 -- comes with the engine

    cookie = alloc_percpu(u64)
    yield cookie
    if cookie.origin is not None and cookie.origin.live:
        free_percpu(cookie)


@pytest.fixture
def mempool(kernel: Kernel) -> Iterator[mempool_t]:
    """A memory pool of 64-byte elements with a reserve of 4; destroyed if the test doesn't."""
    from kmock.linux.mempool import mempool_create_kmalloc_pool, mempool_destroy  # noqa: PLC0415 -- comes with the engine

    pool = mempool_create_kmalloc_pool(4, 64)
    assert not isinstance(pool, int)
    yield pool
    if pool.elements:
        mempool_destroy(pool)


@pytest.fixture
def faults(kernel: Kernel) -> Faults:
    """What makes calls fail: ``faults.failslab(...)``, ``faults.fail_nth(3)``; ``faults.points`` has what can."""
    kernel.faults.watch()
    return kernel.faults
