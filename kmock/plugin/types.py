"""Types of the fixtures, for annotations: ``def test_it(kernel: Kernel, user: Process) -> None``."""

from __future__ import annotations

from kmock.fault.inject import Faults
from kmock.machine import Kernel
from kmock.mm.dmapool_pool import dma_pool
from kmock.mm.mempool_pool import mempool_t
from kmock.plugin.contexts import GfpContext
from kmock.plugin.dmesg import Dmesg
from kmock.user.process import Process

__all__ = ["Dmesg", "Faults", "GfpContext", "Kernel", "Process", "dma_pool", "mempool_t"]
