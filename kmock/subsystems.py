"""The parts of a machine that come up when they are first used, by the names under which the kernel has them."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.dma.mapping import Dma
    from kmock.drivers.bus import Buses
    from kmock.drivers.classes import Classes
    from kmock.drivers.core import Devices
    from kmock.drivers.devm import Managed
    from kmock.drivers.devres import Devres
    from kmock.drivers.pci.bus import Pci
    from kmock.drivers.platform import PlatformBus
    from kmock.fs.char_dev import CharDevices
    from kmock.fs.devtmpfs import DevTmpFs
    from kmock.fs.diskfs import DiskFs
    from kmock.fs.files import KernelFiles
    from kmock.fs.misc import MiscDevices
    from kmock.fs.sysfs import Sysfs
    from kmock.hw.mmio import Bus
    from kmock.kernel.balance import Balance
    from kmock.kernel.contracts import Contracts
    from kmock.kernel.hrtimer import HrTimers
    from kmock.kernel.image import Image
    from kmock.kernel.irq import Irqs
    from kmock.kernel.irq_work import IrqWorks
    from kmock.kernel.list import Lists
    from kmock.kernel.module import Modules
    from kmock.kernel.rcu import Rcu
    from kmock.kernel.resource import Resources
    from kmock.kernel.sched import Scheduler
    from kmock.kernel.softirq import Softirqs
    from kmock.kernel.stack import KernelStacks
    from kmock.kernel.tasklet import Tasklets
    from kmock.kernel.timer import Timers
    from kmock.kernel.workqueue import Workqueues
    from kmock.mm.area_misuse import Mappings
    from kmock.mm.boot_memory import BootMemory
    from kmock.mm.dmapool import DmaPools
    from kmock.mm.genalloc import GenPools
    from kmock.mm.ioremap import Ioremap
    from kmock.mm.kfree_rcu import KfreeRcu
    from kmock.mm.memory_hotplug import MemoryBlocks
    from kmock.mm.mempool import Mempools
    from kmock.mm.page_alloc import PageAllocator
    from kmock.mm.percpu import PerCpu
    from kmock.mm.ports import Ports
    from kmock.mm.shmem import Shmem
    from kmock.mm.slub import Slub
    from kmock.mm.uaccess import Uaccess
    from kmock.mm.vmalloc import Vmalloc
    from kmock.sanitizers.census import Census
    from kmock.sanitizers.grabs import Grabs
    from kmock.sanitizers.guarded_fields import GuardedFields
    from kmock.sanitizers.kmemleak import Kmemleak
    from kmock.sanitizers.kmsan import Kmsan
    from kmock.sanitizers.leftovers import Leftovers
    from kmock.sanitizers.lockdep import Lockdep
    from kmock.sanitizers.pfnmaps import PfnMaps
    from kmock.user.process import Process

T = TypeVar("T")


class Subsystem(Generic[T]):
    """A part of a kernel that comes up when it is first asked for; ``home`` is ``module:class`` below kmock.

    What came up lies in the kernel's own attributes and is found there before this, so it costs nothing later.
    """

    def __init__(self, home: str) -> None:
        self.home = home

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @functools.cached_property
    def cls(self) -> Callable[[Any], T]:
        """The class, imported when the first kernel asks for it."""
        module, _, name = self.home.partition(":")
        found: Callable[[Any], T] = getattr(import_module(f"kmock.{module}"), name)
        return found

    @overload
    def __get__(self, kernel: None, owner: type) -> Subsystem[T]: ...
    @overload
    def __get__(self, kernel: Subsystems, owner: type) -> T: ...
    def __get__(self, kernel: Subsystems | None, owner: type) -> Subsystem[T] | T:
        if kernel is None:
            return self
        up = vars(kernel)[self.name] = self.cls(kernel)
        return up


class Subsystems:
    """What a :class:`~kmock.machine.Kernel` is made of beside the silicon and the checkers."""

    boot_memory: Subsystem[BootMemory] = Subsystem("mm.boot_memory:BootMemory")
    """Memory before the page allocator has it."""
    memory_blocks: Subsystem[MemoryBlocks] = Subsystem("mm.memory_hotplug:MemoryBlocks")
    """Memory that came after boot."""
    page_alloc: Subsystem[PageAllocator] = Subsystem("mm.page_alloc:PageAllocator")
    """Whole pages, and the zones they lie in."""
    slab: Subsystem[Slub] = Subsystem("mm.slub:Slub")
    """Objects of one size, and kmalloc()."""
    contracts: Subsystem[Contracts] = Subsystem("kernel.contracts:Contracts")
    """The check of every call's contract."""
    balance: Subsystem[Balance] = Subsystem("kernel.balance:Balance")
    """What has to be as it was when the test ends."""
    lockdep: Subsystem[Lockdep] = Subsystem("sanitizers.lockdep:Lockdep")
    """Misuse of locks."""
    guarded_fields: Subsystem[GuardedFields] = Subsystem("sanitizers.guarded_fields:GuardedFields")
    """Members of structs that are touched without their lock."""
    rcu: Subsystem[Rcu] = Subsystem("kernel.rcu:Rcu")
    """Grace periods."""
    irqs: Subsystem[Irqs] = Subsystem("kernel.irq:Irqs")
    """Interrupt lines."""
    softirqs: Subsystem[Softirqs] = Subsystem("kernel.softirq:Softirqs")
    """Work that interrupts leave for later."""
    tasklets: Subsystem[Tasklets] = Subsystem("kernel.tasklet:Tasklets")
    """Small functions that run as softirqs."""
    timers: Subsystem[Timers] = Subsystem("kernel.timer:Timers")
    """Timers in jiffies."""
    hrtimers: Subsystem[HrTimers] = Subsystem("kernel.hrtimer:HrTimers")
    """Timers in nanoseconds."""
    workqueues: Subsystem[Workqueues] = Subsystem("kernel.workqueue:Workqueues")
    """Work for process context."""
    irq_works: Subsystem[IrqWorks] = Subsystem("kernel.irq_work:IrqWorks")
    """Work for hard interrupt context."""
    kmsan: Subsystem[Kmsan] = Subsystem("sanitizers.kmsan:Kmsan")
    """Uninitialised memory."""
    kmemleak: Subsystem[Kmemleak] = Subsystem("sanitizers.kmemleak:Kmemleak")
    """Unreferenced memory."""
    census: Subsystem[Census] = Subsystem("sanitizers.census:Census")
    """What is left at the end."""
    stacks: Subsystem[KernelStacks] = Subsystem("kernel.stack:KernelStacks")
    """The tasks' kernel stacks."""
    lists: Subsystem[Lists] = Subsystem("kernel.list:Lists")
    """Nodes of lists that lie in no simulated memory."""
    image: Subsystem[Image] = Subsystem("kernel.image:Image")
    """The kernel's text and data."""
    dma_pools: Subsystem[DmaPools] = Subsystem("mm.dmapool:DmaPools")
    """Small blocks that devices can reach."""
    mempools: Subsystem[Mempools] = Subsystem("mm.mempool:Mempools")
    """Memory that is there when no other is."""
    kfree_rcu: Subsystem[KfreeRcu] = Subsystem("mm.kfree_rcu:KfreeRcu")
    """Memory that is freed after a grace period."""
    vmalloc: Subsystem[Vmalloc] = Subsystem("mm.vmalloc:Vmalloc")
    """Virtually contiguous memory."""
    percpu: Subsystem[PerCpu] = Subsystem("mm.percpu:PerCpu")
    """Memory that every processor has a copy of."""
    resources: Subsystem[Resources] = Subsystem("kernel.resource:Resources")
    """Who uses which bus addresses."""
    io_ports: Subsystem[Ports] = Subsystem("mm.ports:Ports")
    """Devices behind I/O ports."""
    genpools: Subsystem[GenPools] = Subsystem("mm.genalloc:GenPools")
    """Pools of special memory."""
    ioremap: Subsystem[Ioremap] = Subsystem("mm.ioremap:Ioremap")
    """Mappings of device memory."""
    sched: Subsystem[Scheduler] = Subsystem("kernel.sched:Scheduler")
    """Tasks other than the test's own."""
    files: Subsystem[KernelFiles] = Subsystem("fs.files:KernelFiles")
    """``/proc``, ``/sys`` and ``/dev``."""
    modules: Subsystem[Modules] = Subsystem("kernel.module:Modules")
    """Loaded modules."""
    leftovers: Subsystem[Leftovers] = Subsystem("sanitizers.leftovers:Leftovers")
    """What modules and files leave behind."""
    uaccess: Subsystem[Uaccess] = Subsystem("mm.uaccess:Uaccess")
    """Copies from and to processes."""
    shmem: Subsystem[Shmem] = Subsystem("mm.shmem:Shmem")
    """Shared anonymous memory."""
    mappings: Subsystem[Mappings] = Subsystem("mm.area_misuse:Mappings")
    """What drivers do with areas of processes."""
    pfnmaps: Subsystem[PfnMaps] = Subsystem("sanitizers.pfnmaps:PfnMaps")
    """Frames and pages that drivers show to processes."""
    grabs: Subsystem[Grabs] = Subsystem("sanitizers.grabs:Grabs")
    """Pages of processes that drivers have."""
    chrdevs: Subsystem[CharDevices] = Subsystem("fs.char_dev:CharDevices")
    """Character devices."""
    misc: Subsystem[MiscDevices] = Subsystem("fs.misc:MiscDevices")
    """Devices of major 10."""
    classes: Subsystem[Classes] = Subsystem("drivers.classes:Classes")
    """Device classes."""
    devices: Subsystem[Devices] = Subsystem("drivers.core:Devices")
    """Devices."""
    dma: Subsystem[Dma] = Subsystem("dma.mapping:Dma")
    """Memory that devices reach."""
    buses: Subsystem[Buses] = Subsystem("drivers.bus:Buses")
    """Buses, and their drivers."""
    platform: Subsystem[PlatformBus] = Subsystem("drivers.platform:PlatformBus")
    """Devices that no bus can find."""
    pci: Subsystem[Pci] = Subsystem("drivers.pci.bus:Pci")
    """The PCI bus."""
    sysfs: Subsystem[Sysfs] = Subsystem("fs.sysfs:Sysfs")
    """What objects show in ``/sys``."""
    managed: Subsystem[Managed] = Subsystem("drivers.devm:Managed")
    """What the kernel knows how to give back for a device."""
    devres: Subsystem[Devres] = Subsystem("drivers.devres:Devres")
    """What devices give back by themselves."""
    diskfs: Subsystem[DiskFs] = Subsystem("fs.diskfs:DiskFs")
    """Ordinary files."""
    devtmpfs: Subsystem[DevTmpFs] = Subsystem("fs.devtmpfs:DevTmpFs")
    """``/dev``."""

    @functools.cached_property
    def bus(self) -> Bus:
        """The devices that answer at physical addresses."""
        from kmock.hw.mmio import Bus  # noqa: PLC0415 -- comes up when first used

        return Bus()

    @functools.cached_property
    def processes(self) -> list[Process]:
        """The living user processes."""
        return []
