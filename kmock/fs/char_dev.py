"""Character devices: numbers, who answers for them, and how a file of theirs is opened (``fs/char_dev.c``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmock.errors import ReportedError
from kmock.fs.file import File
from kmock.mm.gfp import GFP_KERNEL
from kmock.sanitizers.leftovers import Registration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.fs.file import Inode, file_operations
    from kmock.kernel.module import Module
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

CHRDEV_MAJOR_MAX = 512
CHRDEV_MAJOR_HASH_SIZE = 255
CHRDEV_MAJOR_DYN_END = 234
CHRDEV_MAJOR_DYN_EXT_START = 511
CHRDEV_MAJOR_DYN_EXT_END = 384
MISC_MAJOR = 10
MINORBITS = 20
MINORMASK = (1 << MINORBITS) - 1


def MKDEV(major: int, minor: int) -> int:
    """Make a device number."""
    return major << MINORBITS | minor


def MAJOR(dev: int) -> int:
    """The major number of a device number."""
    return dev >> MINORBITS


def MINOR(dev: int) -> int:
    """The minor number of a device number."""
    return dev & MINORMASK


class cdev:
    """``struct cdev``: what answers for a range of device numbers.

    ``cdev()`` is one that C embeds in a structure of the driver; :func:`cdev_alloc` makes one alone.
    """

    __slots__ = ("__weakref__", "count", "dev", "ops", "owner")

    C_SIZE = 104

    def __init__(self) -> None:
        self.ops: file_operations | None = None
        self.owner: Module | None = None
        self.dev = 0
        self.count = 0

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The structure that it is embedded in is being freed."""
        k.chrdevs.freed(self, allocation)

    def __repr__(self) -> str:
        return f"<cdev {MAJOR(self.dev)}:{MINOR(self.dev)}>"


@dataclass(eq=False, slots=True)
class Region:
    """A range of device numbers that a driver holds (``struct char_device_struct``)."""

    major: int
    baseminor: int
    minorct: int
    name: str
    stack: Stack
    cdev: cdev | None = None

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        return "unregister_chrdev" if self.cdev is not None else "unregister_chrdev_region"

    @property
    def what(self) -> str:
        """``char device region 254:0-3 "scull"``."""
        last = self.baseminor + self.minorct - 1
        return f'char device region {self.major}:{self.baseminor}-{last} "{self.name}"'


@dataclass(eq=False, slots=True)
class Added:
    """A cdev that is in the map, and where it was added."""

    cdev: cdev
    stack: Stack

    @property
    def what(self) -> str:
        """``cdev 254:0-3``."""
        dev, count = self.cdev.dev, self.cdev.count
        return f"cdev {MAJOR(dev)}:{MINOR(dev)}-{MINOR(dev) + count - 1}"


class CharDevices:
    """The character devices of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.regions: list[Region] = []
        """Sorted by number."""
        self.map: dict[cdev, Added] = {}
        """In the order of ``cdev_add()``."""
        self.register_region(MISC_MAJOR, 0, 256, "misc", stack=())

    # -- numbers ----------------------------------------------------------------------------------

    def register_region(
        self, major: int, baseminor: int, count: int, name: str, stack: Stack | None = None
    ) -> Region | int:
        """``__register_chrdev_region()``: reserve numbers; major 0 takes a free one. Region, or -errno.

        ``stack`` is empty for what belongs to the kernel itself.
        """
        k = self.kernel
        if major >= CHRDEV_MAJOR_MAX:
            k.log.write(
                f'CHRDEV "{name}" major requested ({major}) is greater than the maximum ({CHRDEV_MAJOR_MAX - 1})'
            )
            return -errno.EINVAL
        if count > MINORMASK + 1 - baseminor:
            k.log.write(
                f'CHRDEV "{name}" minor range requested ({baseminor}-{baseminor + count - 1}) '
                f"is out of range of maximum range (0-{MINORMASK}) for a single major"
            )
            return -errno.EINVAL
        if major == 0 and (major := self._dynamic_major(name)) < 0:
            return major
        if stack is None and self._no_memory():
            return -errno.ENOMEM
        start = MKDEV(major, baseminor)
        if any(
            start < MKDEV(r.major, r.baseminor) + r.minorct and MKDEV(r.major, r.baseminor) < start + count
            for r in self.regions
        ):
            return -errno.EBUSY
        region = Region(major, baseminor, count, name, k.capture() if stack is None else stack)
        self.regions.append(region)
        self.regions.sort(key=lambda r: (r.major, r.baseminor))
        return region

    def _no_memory(self) -> bool:
        # kzalloc() of a char_device_struct, or kmalloc() of a struct probe, which the books here take no memory for.
        k = self.kernel
        return k.faults.active and k.faults.should_failslab(k.slab.kmalloc_cache(1, GFP_KERNEL), 96, GFP_KERNEL)

    def _dynamic_major(self, name: str) -> int:
        taken = {r.major for r in self.regions}
        slots = {major % CHRDEV_MAJOR_HASH_SIZE for major in taken}
        for major in range(CHRDEV_MAJOR_HASH_SIZE - 1, CHRDEV_MAJOR_DYN_END - 1, -1):
            if major not in slots:
                return major
        for major in range(CHRDEV_MAJOR_DYN_EXT_START, CHRDEV_MAJOR_DYN_EXT_END - 1, -1):
            if major not in taken:
                return major
        self.kernel.log.write(f'CHRDEV "{name}" dynamic allocation region is full')
        return -errno.EBUSY

    def unregister_region(self, dev: int, count: int) -> Region | None:
        """Give back exactly that range; None, and silence as in the kernel, if nobody holds it."""
        found = next(
            (r for r in self.regions if MKDEV(r.major, r.baseminor) == dev and r.minorct == count),
            None,
        )
        if found is not None:
            self.regions.remove(found)
        return found

    def register(self, major: int, baseminor: int, count: int, name: str, fops: file_operations) -> int:
        """``__register_chrdev()``: numbers and a cdev in one; the major if it was 0, 0, or -errno."""
        region = self.register_region(major, baseminor, count, name)
        if isinstance(region, int):
            return region
        entry = region.cdev = cdev()
        entry.owner = fops.owner
        entry.ops = fops
        if (result := self.add(entry, MKDEV(region.major, baseminor), count)) < 0:
            self.unregister_region(MKDEV(region.major, baseminor), count)
            return result
        return 0 if major else region.major

    def unregister(self, major: int, baseminor: int, count: int) -> None:
        """``__unregister_chrdev()``."""
        region = self.unregister_region(MKDEV(major, baseminor), count)
        if region is not None and region.cdev is not None:
            self.delete(region.cdev)

    # -- cdevs ------------------------------------------------------------------------------------

    def init(self, entry: cdev, fops: file_operations) -> None:
        """``cdev_init()``: begin anew, with those operations."""
        entry.owner = None
        entry.dev = entry.count = 0
        entry.ops = fops

    def add(self, entry: cdev, dev: int, count: int, stack: Stack | None = None) -> int:
        """``cdev_add()``: from now on files of those devices can be opened."""
        k = self.kernel
        if stack is None and self._no_memory():
            return -errno.ENOMEM
        stack = k.capture() if stack is None else stack
        if (before := self.map.get(entry)) is not None:
            k.report(
                "registration-twice",
                f"BUG: kmock: registration-twice in {k.symbol(stack)}",
                lines=[f"{before.what} is added again without cdev_del() in between"],
                stacks={"access": stack, "first added": before.stack},
                key=(entry, "registration"),
            )
        entry.dev = dev
        entry.count = count
        self.map[entry] = Added(entry, stack)
        return 0

    def delete(self, entry: cdev) -> None:
        """``cdev_del()``: no new opens; files that are open stay usable."""
        if self.map.pop(entry, None) is None:
            return
        self.kernel.devtmpfs.forget(entry.dev, entry.count)

    def freed(self, entry: cdev, allocation: Allocation | None) -> None:
        """The memory of a cdev goes; while it is in the map, the next open would use it."""
        added = self.map.pop(entry, None)
        if added is None:
            return
        k = self.kernel
        stack = k.capture()
        k.report(
            "registration-left",
            f"BUG: kmock: registration-left in {k.symbol(stack)}",
            lines=[f"{added.what} lies in memory that is freed, and is still registered: cdev_del() comes first"],
            stacks={"access": stack, "registered": added.stack},
            object=k.kasan.info(allocation, allocation.addr) if allocation is not None else None,
            key=(entry, "registration"),
        )

    def lookup(self, dev: int) -> cdev | None:
        """``kobj_lookup()``: the cdev that answers for ``dev``; the one with the smallest range wins."""
        found = [entry for entry in self.map if entry.dev <= dev < entry.dev + entry.count]
        return min(found, key=lambda entry: entry.count, default=None)

    def number_of(self, name: str) -> int | None:
        """Return the number of the device that udev would have called ``name``; None if nobody answers for it.

        ``scull`` is the first of a region of that name, ``scull2`` the one with minor number 2.
        """
        for region in self.regions:
            rest = name.removeprefix(region.name)
            if rest == name or (rest and not rest.isdecimal()):
                continue
            minor = int(rest) if rest else region.baseminor
            dev = MKDEV(region.major, minor)
            if 0 <= minor - region.baseminor < region.minorct and self.lookup(dev) is not None:
                return dev
        return None

    # -- what is left -----------------------------------------------------------------------------

    def registrations(self) -> Iterator[Registration]:
        """What drivers have registered here."""
        whole = {region.cdev for region in self.regions}
        for region in self.regions:
            yield Registration(region.what, region.stack, region.undo)
        for entry, added in self.map.items():
            if entry not in whole:
                yield Registration(added.what, added.stack, "cdev_del")

    # -- files ------------------------------------------------------------------------------------

    def open(self, inode: Inode, file: File) -> int:
        """``chrdev_open()``: hand a file over to its driver, whose module stays while it is open; 0 or -errno."""
        modules = self.kernel.modules
        entry = inode.i_cdev
        if entry is None or entry not in self.map:
            entry = inode.i_cdev = self.lookup(inode.i_rdev)
        if entry is None or not modules.try_get(entry.owner):
            return -errno.ENXIO
        fops = entry.ops
        if fops is None or not modules.try_get(fops.owner):
            modules.put(entry.owner)
            return -errno.ENXIO
        file.f_op = fops
        file.cdev = entry
        try:
            result: int | None = fops.open(inode, file) if fops.open is not None else 0
        except ReportedError:
            self.release(file)
            raise
        if result:
            self.release(file)
        return result or 0

    def fput(self, file: Any) -> None:
        """``fput()``: drop a reference to an open file; the last one has its driver release it."""
        file.f_count -= 1
        if file.f_count:
            return
        if not isinstance(file, File):
            file.released()
            return
        if file.f_op.release is not None:
            file.f_op.release(file.f_inode, file)  # whose result nobody looks at, in the kernel too
        self.release(file)
        file.private_data = None
        self.kernel.leftovers.released(file, self.kernel.current)

    def release(self, file: File) -> None:
        """``fops_put()`` and ``cdev_put()``: let go of the modules behind a file."""
        modules = self.kernel.modules
        modules.put(file.f_op.owner)
        if file.cdev is not None:
            modules.put(file.cdev.owner)
