"""A booted machine: the object that owns every subsystem.

:func:`boot` makes one. Its constructor reads from top to bottom in the order in which a kernel comes up;
what most tests never use (file systems, processes, the scheduler) comes up when it is first asked for.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

from kmock import kinds
from kmock.config import KernelConfig
from kmock.current import current
from kmock.errors import Misuse, ReportedError
from kmock.fault.inject import Faults
from kmock.hw.clock import Clock
from kmock.hw.cpu import Cpu
from kmock.hw.mmu import PageTable
from kmock.hw.ram import Ram
from kmock.kernel.panic import Panic
from kmock.kernel.printk import Log
from kmock.kernel.task import Task
from kmock.mm.access import Memory
from kmock.mm.gfp import gfp_text
from kmock.mm.layout import LAYOUTS
from kmock.mm.page import MemMap
from kmock.report import Context, ObjectInfo, Report, ReportLog
from kmock.sanitizers.atomic_sleep import AtomicSleep
from kmock.sanitizers.kasan import Kasan
from kmock.stack import DEPTH, Stack, capture, user_frames
from kmock.subsystems import Subsystems

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from kmock.drivers.core import device
    from kmock.drivers.core import device as Device
    from kmock.drivers.pci.device import pci_dev
    from kmock.drivers.platform import platform_device
    from kmock.fs.diskfs import DiskInode
    from kmock.fs.file import Inode
    from kmock.hw.mmio import Model, Window
    from kmock.hw.pci import Bar
    from kmock.kernel.interleave import Watcher
    from kmock.kernel.module import Module
    from kmock.kernel.resource import Resource
    from kmock.lang.ptr import Ptr
    from kmock.mm.zones import Zone
    from kmock.user.process import Process

FIRST_PID = 100


class Kernel(Subsystems, Panic):
    """One booted machine. Made by :func:`boot`; a context manager that shuts down at its end."""

    def __init__(self, config: KernelConfig) -> None:
        self.config = config
        self.reports = ReportLog()
        self.down = False
        self.phase = "call"
        self.seq = 0
        """Allocations made so far."""
        # Whether every call is looked at, not only those made in atomic context.
        self.vetting = config.version is not None or config.lint
        self.explorer: Watcher | None = None
        """Who watches for races and chooses what runs next, in a test that explores interleavings."""

        # The silicon.
        self.layout = LAYOUTS[config.arch]
        self.ram = Ram([r for node in config.node_ranges() for r in node])
        self.clock = Clock(config.hz)
        self.mmu = PageTable()
        self.log = Log(self.clock)
        self.pids = FIRST_PID
        self.cpus = Cpus(self)
        self.cpu = self.cpus[0]

        # The checkers, before what they check.
        self.faults = Faults(self)
        self.kasan = Kasan(self)
        self.atomic_sleep = AtomicSleep(self)

        # Memory management.
        self.memmap = MemMap(self.ram, self.layout)
        self.mem = Memory(self)
        self.memmap.zone_of = self.zone_of

        self._previous = current.kernel
        current.kernel = self

    # -- the test's side --------------------------------------------------------------------------

    def __enter__(self) -> Kernel:  # noqa: PYI034 -- no subclass is meant
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()

    def shutdown(self) -> None:
        """Run the end-of-life checks and stop the machine; a second call does nothing.

        ``reports`` stays readable, pointers do not.
        """
        if self.down:
            return
        try:
            self.halt()
            self.census.finish()
        finally:
            self.down = True
            if "sched" in vars(self):
                self.sched.stop()
            if current.kernel is self:
                current.kernel = self._previous
            self.ram.close()

    def halt(self, spare: Collection[object] = ()) -> None:
        """Let processes exit and unload modules, all but those to ``spare``; the last to come goes first."""
        with suppress(ReportedError):
            if "workqueues" in vars(self):
                self.workqueues.settle()
            for process in self.processes[::-1]:
                if process not in spare:
                    process.exit()
            for module in [*self.modules.loaded.values()][::-1]:
                if module not in spare:
                    self.modules.unload_if_idle(module)
            if "devices" in vars(self):
                self.devices.halt(spare)

    def expect(self, kind: str, count: int | None = None) -> AbstractContextManager[list[Report]]:
        """Accept reports of ``kind`` (an id or a glob such as ``slab-*``) inside the ``with`` block.

        Yields the list of them; raises AssertionError at the block's end if none (or not ``count``) came.
        """
        return self.reports.expecting(kind, count)

    def dmesg(self) -> str:
        """The kernel log so far."""
        return self.log.text()

    def read_file(self, path: str) -> str:
        """Read a file of /proc, /sys or debugfs."""
        return self.files.read(path)

    def write_file(self, path: str, text: str) -> None:
        """Write to a file of /proc, /sys or debugfs; OSError with the errno the kernel gives."""
        self.files.write(path, text)

    def early_boot(self) -> AbstractContextManager[None]:
        """Run the block as early boot does, when memory is memblock's: what is left of it then becomes the zones.

        RuntimeError on a machine that something was allocated on already.
        """
        return self.boot_memory.open()

    def hardirq(self) -> AbstractContextManager[None]:
        """Run the block as a hard interrupt handler on the current CPU."""
        from kmock.kernel import preempt  # noqa: PLC0415 -- comes up when first used

        return preempt.hardirq(self)

    def softirq(self) -> AbstractContextManager[None]:
        """Run the block as a softirq handler on the current CPU."""
        from kmock.kernel import preempt  # noqa: PLC0415 -- comes up when first used

        return preempt.softirq(self)

    def nmi(self) -> AbstractContextManager[None]:
        """Run the block as an NMI handler on the current CPU."""
        from kmock.kernel import preempt  # noqa: PLC0415 -- comes up when first used

        return preempt.nmi(self)

    def on_cpu(self, n: int) -> AbstractContextManager[None]:
        """Run the block as what CPU ``n`` does meanwhile, in a process context of its own."""
        from kmock.kernel import preempt  # noqa: PLC0415 -- comes up when first used

        return preempt.on_cpu(self, n)

    def stack_buffer(self, n: int) -> Ptr:
        """Return ``n`` bytes on the current task's kernel stack: C's ``char buf[n];`` of the calling function."""
        return self.stacks.buffer(n)

    def raise_irq(self, irq: int, dev_id: Any = None) -> None:
        """Raise interrupt line ``irq`` (1 to 255): its handlers run now, unless it is disabled or interrupts are off.

        With the ``dev_id`` of the device that raises it, a handler of another device that claims it is reported.
        """
        self.irqs.raise_irq(irq, dev_id)

    def mmio(self, base: int, size: int, model: Model | None = None) -> Window:
        """Put a device's register window at physical address ``base``; without a ``model`` it is zero-filled bytes.

        ``model`` is a :class:`~kmock.hw.mmio.RegisterModel`, or anything with ``read(offset, width)`` and
        ``write(offset, width, value)``. ValueError where RAM or another device answers already.
        """
        return self.ioremap.window(base, size, model)

    def ports(self, base: int, size: int, model: Model | None = None) -> Window:
        """Put a device's registers behind ``size`` I/O ports from ``base`` on; otherwise as :meth:`mmio`."""
        return self.io_ports.window(base, size, model)

    def device(self, name: str, dma_mask: int | None = None) -> device:
        """Make a device that counts as bound until ``devres_release_all(dev)`` or the end; its coherent mask is ``dma_mask``."""
        return self.devices.make_simple(name, dma_mask)

    def platform_device(
        self, name: str, resources: Iterable[Resource | tuple[int, int] | int] = (), id: int = -1
    ) -> platform_device:
        """Plug in a platform device, which a driver of that name is bound to; ``id`` as ``platform_device.id``.

        ``resources`` are made by ``DEFINE_RES_MEM(start, size)``, ``DEFINE_RES_IRQ(line)`` and their like; ``(start,
        size)`` and a number stand for these two.
        """
        return self.platform.make(name, resources, id)

    def pci_device(
        self,
        vendor: int,
        device: int,
        bars: Mapping[int, int | tuple[int, int] | Bar] | Sequence[int | tuple[int, int] | Bar] = (),
        model: Model | None = None,
    ) -> pci_dev:
        """Plug in a PCI function, which a driver with that id in its table is bound to.

        ``bars`` are the sizes of its windows in bytes, by number or in order; ``(address, size)`` says where one lies
        too. ``model`` stands behind them: a :class:`~kmock.hw.device.DeviceModel`, which can interrupt and read and
        write memory, or anything that :meth:`mmio` takes; without one the windows are zero-filled bytes.
        """
        from kmock.drivers.pci.bus import bars_of  # noqa: PLC0415 -- comes up when first used
        from kmock.hw.pci import ConfigSpace  # noqa: PLC0415 -- comes up when first used

        messages = getattr(model, "msi", 1), getattr(model, "msix", 0)
        return self.pci.make(ConfigSpace(vendor, device, bars_of(bars), *messages), model)

    def dma_read(self, dev: Device, addr: int, n: int) -> bytes:
        """Let ``dev``, as bus master, read ``n`` bytes at its address ``addr``; all ones where nothing answers."""
        return self.dma.master.read(dev, addr, n)

    def dma_write(self, dev: Device, addr: int, data: bytes) -> None:
        """Let ``dev``, as bus master, write ``data`` at its address ``addr``."""
        self.dma.master.write(dev, addr, data)

    def run(self) -> None:
        """Run tasks until all are idle."""
        self.sched.run()

    def spawn(self, body: Callable[..., object], *args: Any, cpu: int | None = None, name: str = "") -> Task:
        """Start a task that calls ``body(*args)`` in process context, on processor ``cpu`` if that is given.

        It runs when the test's own code sleeps, or waits in :meth:`join` or :meth:`run`.
        """
        from kmock.kernel import spawn  # noqa: PLC0415 -- comes up when first used

        return spawn.spawn(self, body, args, cpu, name)

    def join(self, *tasks: Task) -> None:
        """Run until these tasks have ended, or all that were spawned if none is named; Deadlock if one never will."""
        from kmock.kernel import spawn  # noqa: PLC0415 -- comes up when first used

        spawn.join(self, tasks)

    def advance(self, seconds: float) -> None:
        """Move virtual time on, waking sleepers and firing timers in order."""
        self.sched.advance(seconds)

    def user(self) -> Process:
        """Start a simulated user process."""
        from kmock.user.process import Process  # noqa: PLC0415 -- comes up when first used

        return Process(self)

    def insmod(self, name_or_path: str | Path, **params: object) -> Module:
        """Load a fresh image of a driver module and run its init; OSError with its errno if that fails."""
        return self.modules.insmod(name_or_path, params)

    def rmmod(self, module: Module) -> None:
        """Run a module's exit and report what it left behind; OSError EBUSY while it is in use."""
        self.modules.rmmod(module)

    def mknod(self, path: str, dev: int) -> Inode:
        """Make a character device node at ``path``, as ``mknod(1)`` does."""
        return self.devtmpfs.mknod(path, dev)

    def inode(self, size: int, path: str = "") -> DiskInode:
        """Make a file of ``size`` bytes on a simulated disk (``inode.disk``), of which no page is in memory.

        Processes open it at ``inode.path``: ``path``, or a fresh name below ``/mnt``.
        """
        return self.diskfs.make(size, path)

    # -- what subsystems share --------------------------------------------------------------------

    @functools.cached_property
    def random(self) -> Random:
        """The one source of chance, from the machine's seed."""
        return Random(self.config.seed)

    @property
    def current(self) -> Task:
        """The running task."""
        return self.cpu.task

    def zone_of(self, pfn: int) -> Zone | None:
        """Return the zone that a page frame lies in; the first question brings the page allocator up."""
        return self.page_alloc.zones.zone_of(pfn)

    def new_pid(self) -> int:
        """Hand out the next process id."""
        self.pids += 1
        return self.pids

    def capture(self, depth: int = DEPTH + 6) -> Stack:
        """Capture the stack of a finding; deeper than an allocation's, since it is always read."""
        return capture(2, depth)

    def symbol(self, stack: Stack) -> str:
        """``function+0xoffset/0xsize [module]`` of the driver's innermost frame in ``stack``."""
        found = user_frames(stack)
        return found[0].symbol if found else "kmock+0x0/0x0"

    def report(
        self,
        kind: str,
        headline: str,
        *,
        lines: Iterable[str] = (),
        stacks: Mapping[str, Stack] | None = None,
        object: ObjectInfo | None = None,
        key: object = None,
        hint: str = "",
        taint: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> Report | None:
        """Make a finding; return it, or None where it is a consequence of an earlier one.

        ``key`` says what it is about: a second finding under the same key is attached to the first.
        """
        if "devres" in vars(self) and self.devres.releasing:
            kind = self.devres.instead(kind)
        if not self.config.lint and kinds.kind(kind).severity == "lint":
            return None
        lines = list(lines)
        stacks = dict(stacks) if stacks else {"access": self.capture()}
        first = self.reports.find(key) if key is not None else None
        if first is not None and not self.multi_shot and not self.reports.awaited(kind):
            found = user_frames(stacks.get("access", ()))
            first.followed_by.append(headline + (f" at {found[0].short}" if found else ""))
            return None
        report = Report(
            kind=kind,
            headline=headline,
            stacks=stacks,
            context=self.context(),
            object=object,
            lines=tuple(lines),
            hint=hint or kinds.kind(kind).hint,
            attributes=dict(attributes or {}),
            phase=self.phase,
        )
        self.log.write(headline)
        self.log.write_all(lines)
        for letter in taint:
            self.taints.add(letter)
        expected = self.reports.add(report, key)
        if self.config.raise_reports and not expected and report.severity != "lint" and not self.down:
            raise Misuse(report)
        return report

    @functools.cached_property
    def multi_shot(self) -> bool:
        """Whether every bad access is reported, as with ``kasan_multi_shot``."""
        return self.config.boot_arg("kasan_multi_shot") is not None

    def context(self) -> Context:
        """Where execution stands."""
        cpu = self.cpu
        task = cpu.task
        return Context(
            comm=task.comm,
            pid=task.pid,
            cpu=cpu.id,
            preempt_count=cpu.preempt_count,
            irqs_off=cpu.irqs_off,
            rcu_depth=task.rcu_depth,
            locks=tuple(str(held) for held in task.held if not held.is_map),
            time=self.clock.now,
            where=(
                "nmi"
                if cpu.preempt_count & 0xF00000
                else "hardirq"
                if cpu.preempt_count & 0xF0000
                else "softirq"
                if cpu.preempt_count & 0x100
                else "process"
            ),
        )

    def gfp_text(self, gfp: int) -> str:
        """What ``%pGg`` shows of gfp flags."""
        return gfp_text(gfp)

    def slub_headline(self, about: Any, address: int) -> str:
        """What ``slub_debug`` would say of a stray write at ``address``, if it would find it."""
        return self.slab.debug_headline(about, address)


class Cpus:
    """The processors, made when first used: a machine may have hundreds and a test use two."""

    __slots__ = ("_kernel", "_made")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._made: dict[int, Cpu] = {}

    def __len__(self) -> int:
        return self._kernel.config.cpus

    def __getitem__(self, n: int) -> Cpu:
        cpu = self._made.get(n)
        if cpu is None:
            k = self._kernel
            if not 0 <= n < k.config.cpus:
                msg = f"CPU {n} does not exist: the machine has {k.config.cpus} (0 to {k.config.cpus - 1})"
                raise IndexError(msg)
            task = Task(k.new_pid(), "test" if n == 0 else f"test/{n}")
            cpu = self._made[n] = Cpu(n, k.config.cpu_to_node(n), task)
        return cpu

    def __iter__(self) -> Iterator[Cpu]:
        return (self[n] for n in range(len(self)))

    @property
    def made(self) -> list[Cpu]:
        """The processors that something ran on."""
        return list(self._made.values())


def boot(config: KernelConfig | Mapping[str, Any] | str | Path | None = None, **overrides: Any) -> Kernel:
    """Boot a machine and make it the current one; also a context manager.

    ``config`` is a :class:`KernelConfig`, a mapping, the name of a preset or the path of a YAML file;
    keywords override it: ``boot(cpus=4, memory="128M")``. Raises :class:`~kmock.config.ConfigError` for a
    machine that can't be.
    """
    return Kernel(KernelConfig.make(config, **overrides))
