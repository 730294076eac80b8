"""``python -m sample_drivers.demo``: good drivers at work, and bad ones caught.

The scull drivers, the statistics driver and the network driver get real traffic and have to come out clean; each driver
of :mod:`sample_drivers.buggy` has to be caught with the mistake that it was written for. The exit status is 1 if either
fails.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from contextlib import suppress

import kmock
from kmock.errors import ReportedError
from kmock.reporting.terminal import render
from sample_drivers.buggy import BUGS, Bug
from sample_drivers.ringnic_hw import DEVICE, SIZE, VENDOR, RingNic
from sample_drivers.ringnic_stack import Stack

GOOD = ("scull", "scullc", "scullp", "scullv", "pstats", "ringnic")
SHOWN_IN_FULL = "off_by_one"
TRAFFIC = 100_000
SECTOR = 3000
FRAMES = 1000


def say(text: str = "") -> None:
    print(text, flush=True)


# -- good drivers -------------------------------------------------------------------------------------


def scull_traffic(kernel: kmock.Kernel, name: str) -> str:
    """Load a scull driver and have two processes write, seek, read back and empty its devices; say what was done."""
    module = kernel.insmod(f"sample_drivers.{name}")
    data = bytes(i * 7 % 251 for i in range(TRAFFIC))
    writer, reader = kernel.user(), kernel.user()
    path = f"/dev/{name}0"
    calls = 0
    fd = writer.open(path)
    done = 0
    while done < len(data):
        done += writer.write(fd, data[done : done + SECTOR])
        calls += 1
    writer.pwrite(fd, b"far away", TRAFFIC * 3)
    writer.close(fd)
    fd = reader.open(path, os.O_RDONLY)
    back = b""
    while len(back) < len(data):
        back += reader.read(fd, min(SECTOR, len(data) - len(back)))
        calls += 1
    if back != data:
        raise AssertionError(f"{name} gave back something else than was written")
    reader.lseek(fd, -8, os.SEEK_END)
    if reader.read(fd, 8) != b"far away":
        raise AssertionError(f"{name} lost what was written far away")
    reader.close(fd)
    writer.close(writer.open(path, os.O_WRONLY))
    writer.exit()
    reader.exit()
    kernel.rmmod(module)
    return f"{len(data):,} bytes written and read back in {calls} system calls, one hole, one trim"


def stats_traffic(kernel: kmock.Kernel, name: str) -> str:
    """Load the statistics driver, count packets of a process and of interrupts on every processor; say what was done."""
    module = kernel.insmod(f"sample_drivers.{name}")
    process = kernel.user()
    fd = process.open(f"/dev/{name}0")
    for n in range(200):
        with kernel.on_cpu(n % len(kernel.cpus)):
            process.write(fd, bytes(n + 1))
            kernel.raise_irq(module.IRQ)
    counted = struct.unpack("<QQ", process.read(fd, 16))
    if counted != (400, sum(range(201)) + 200 * module.SMALLEST):
        raise AssertionError(f"{name} counted {counted}")
    process.close(fd)
    process.exit()
    kernel.rmmod(module)
    return f"{counted[0]} packets counted on {len(kernel.cpus)} processors, none lost"


def nic_traffic(kernel: kmock.Kernel, name: str) -> str:
    """Load the network driver on its card, send frames and look at those that come back; say what was done."""
    pdev = kernel.pci_device(VENDOR, DEVICE, {0: SIZE}, RingNic())
    module = kernel.insmod(f"sample_drivers.{name}")
    stack = Stack(module, pdev)
    stack.send(FRAMES)
    stack.settle()
    if stack.received != FRAMES or stack.wrong:
        raise AssertionError(f"{name} received {stack.received} frames, of which {len(stack.wrong)} are wrong")
    kernel.rmmod(module)
    return f"{FRAMES} frames sent by DMA and received, in order, on {kernel.clock.now / 1e6:.1f} ms of its time"


TRAFFICS = {"pstats": stats_traffic, "ringnic": nic_traffic}


def first_use(kernel: kmock.Kernel, name: str) -> None:
    """Load a driver, and write to its device or send a frame."""
    if name == "ringnic":
        pdev = kernel.pci_device(VENDOR, DEVICE, {0: SIZE}, RingNic())
        module = kernel.insmod(f"sample_drivers.{name}", ring_size=4)
        if pdev.dev.driver is not None:
            Stack(module, pdev).send(1)
        kernel.rmmod(module)
    else:
        process = kernel.user()
        kernel.insmod(f"sample_drivers.{name}")
        process.write(process.open(f"/dev/{name}0"), b"x" * 100)


def without_memory(name: str) -> str:
    """Have each call that can fail do so, one at a time, in loading the driver and in its first use."""
    for nth in range(1, 100):
        with kmock.boot() as kernel:
            kernel.faults.fail_nth(nth)
            with suppress(OSError):
                first_use(kernel, name)
            survived = kernel.faults.calls_left > 0
        if kernel.reports.unexpected:
            raise AssertionError(f"failing call {nth}: {kernel.reports.unexpected[0]}")
        if survived:
            return f"{nth - 1} calls made to fail, one at a time"
    raise AssertionError("there is no end to the calls that can fail")


def show_good(name: str) -> bool:
    """Run a driver that has to come out clean; whether it did."""
    try:
        with kmock.boot() as kernel:
            done = TRAFFICS.get(name, scull_traffic)(kernel, name)
        clean = not kernel.reports.unexpected
        swept = without_memory(name) if clean else ""
    except (AssertionError, OSError, ReportedError) as error:
        say(f"  {name:<8} FLAGGED  {error}")
        return False
    if not clean:
        say(f"  {name:<8} FLAGGED  {kernel.reports.unexpected[0]}")
        return False
    say(f"  {name:<8} clean    {done}")
    say(f"  {'':<8}          {swept}")
    return True


# -- bad drivers --------------------------------------------------------------------------------------


def run_buggy(name: str, bug: Bug) -> kmock.Kernel:
    """Boot a machine, load the driver, provoke its mistake, unload it and stop the machine."""
    with kmock.boot() as kernel:
        with suppress(ReportedError):
            if bug.loads:
                module = kernel.insmod(f"sample_drivers.buggy.{name}")
                bug.provoke(kernel, module)
                kernel.rmmod(module)
            else:
                with suppress(OSError):
                    kernel.insmod(f"sample_drivers.buggy.{name}")
    return kernel


def show_buggy(name: str, bug: Bug) -> bool:
    """Run a driver that has to be caught; whether it was, at a line of its own."""
    kernel = run_buggy(name, bug)
    found = next((r for r in kernel.reports if r.is_a(bug.kind)), None)
    if found is None or found.where is None or not found.where.file.endswith(f"/{name}.py"):
        others = "; ".join(map(str, kernel.reports)) or "nothing was reported"
        say(f"  {name:<24} ESCAPED  expected {bug.kind}: {others}")
        return False
    say(f"  {name:<24} caught   {found.kind}")
    say(f"      {found.headline}")
    say(f"      {name}.py:{found.where.line} in {found.where.function}:  {found.where.source}")
    if name == SHOWN_IN_FULL:
        say()
        say("\n".join(f"    | {line}" for line in render(found, kernel.config).splitlines()))
        say()
    return True


def main() -> int:
    """Run everything; the exit status."""
    started = time.perf_counter()
    say("Good drivers: real traffic, and every failure they must survive.\n")
    good = [show_good(name) for name in GOOD]
    say("\nDrivers with one mistake each. Would you have seen it?\n")
    bad = [show_buggy(name, bug) for name, bug in BUGS.items()]
    seconds = time.perf_counter() - started
    say(
        f"\n{sum(good)} of {len(good)} good drivers clean, {sum(bad)} of {len(bad)} mistakes caught, in {seconds:.1f} s."
    )
    return 0 if all(good) and all(bad) else 1


if __name__ == "__main__":
    sys.exit(main())
