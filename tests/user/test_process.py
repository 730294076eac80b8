"""Processes: descriptors, system calls and their ends, memory."""

from __future__ import annotations

import errno
import mmap
import os

import pytest

import kmock
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, kzalloc
from kmock.linux.types import NULL
from kmock.linux.uaccess import copy_from_user, copy_to_user

RW = mmap.PROT_READ | mmap.PROT_WRITE


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def p(k):
    return k.user()


@pytest.fixture
def device(k):
    """Makes /dev/dev with the given operations."""
    made = []

    def make(**operations):
        misc = miscdevice(name="dev", fops=file_operations(**operations))
        assert misc_register(misc) == 0
        made.append(misc)

    yield make
    for process in k.processes[:]:
        process.exit()
    for misc in made:
        misc_deregister(misc)


class TestDescriptors:
    def test_lowest_free_number(self, p, device):
        device()
        assert [p.open("/dev/dev"), p.open("/dev/dev")] == [3, 4]
        p.close(3)
        assert p.open("/dev/dev") == 3

    def test_no_such_file(self, p):
        with pytest.raises(FileNotFoundError, match="/dev/nothing"):
            p.open("/dev/nothing")

    def test_bad_descriptor(self, p):
        for call in (lambda: p.read(7, 1), lambda: p.close(7), lambda: p.ioctl(7, 0)):
            with pytest.raises(OSError, match="Bad file descriptor"):
                call()

    def test_too_many(self, p, device):
        device()
        for _ in range(1021):
            p.open("/dev/dev")
        with pytest.raises(OSError, match="Too many open files"):
            p.open("/dev/dev")

    def test_dup_shares_the_file(self, p, device):
        events = []
        device(
            flush=lambda file, owner: events.append("flush"),
            release=lambda inode, file: events.append("release"),
        )
        fd = p.open("/dev/dev")
        other = p.dup(fd)
        p.close(fd)
        assert events == ["flush"]
        p.close(other)
        assert events == ["flush", "flush", "release"]

    def test_two_opens_are_two_files(self, p, device):
        files = []
        device(open=lambda inode, file: files.append(file))
        p.open("/dev/dev", os.O_RDONLY)
        p.open("/dev/dev", os.O_RDWR | os.O_NONBLOCK)
        assert files[0] is not files[1]
        assert files[1].f_flags & os.O_NONBLOCK

    def test_exit_closes_everything(self, p, device):
        released = []
        device(release=lambda inode, file: released.append(file))
        p.open("/dev/dev")
        p.open("/dev/dev")
        p.exit()
        p.exit()
        assert len(released) == 2
        with pytest.raises(ProcessLookupError):
            p.open("/dev/dev")

    def test_the_end_of_the_machine_closes_what_is_open(self):
        released = []
        misc = miscdevice(name="dev", fops=file_operations(release=lambda inode, file: released.append(file)))
        with kmock.boot() as k:
            misc_register(misc)
            k.user().open("/dev/dev")
            k.shutdown()
        assert len(released) == 1


class TestReadAndWrite:
    def test_positions(self, p, device):
        def read(file, buf, count, pos):
            at = pos.value
            pos.value += count
            letters = kzalloc(count, GFP_KERNEL)
            letters[0:count] = bytes(ord("a") + (at + i) % 26 for i in range(count))
            left = copy_to_user(buf, letters, count)
            kfree(letters)
            return count - left

        device(read=read, llseek=lambda file, offset, whence: setattr(file, "f_pos", offset) or offset)
        fd = p.open("/dev/dev")
        assert p.read(fd, 3) == b"abc"
        assert p.read(fd, 2) == b"de"
        assert p.pread(fd, 2, 10) == b"kl"
        assert p.read(fd, 1) == b"f"
        assert p.lseek(fd, 1) == 1
        assert p.read(fd, 1) == b"b"

    def test_f_pos_as_an_array_of_one(self, p, device):
        def write(file, buf, count, pos):
            pos[0] += count
            with pytest.raises(IndexError):
                pos[1]
            return count

        device(write=write)
        fd = p.open("/dev/dev")
        assert p.write(fd, b"abc") == 3
        assert p.files[fd].f_pos == 3

    def test_the_position_as_a_second_result(self, p, device):
        device(write=lambda file, buf, count, pos: (count, pos.value + count))
        fd = p.open("/dev/dev")
        p.write(fd, b"abc")
        assert p.files[fd].f_pos == 3

    def test_what_the_mode_forbids(self, p, device):
        device(read=lambda *a: 0, write=lambda *a: 0)
        reader, writer = p.open("/dev/dev", os.O_RDONLY), p.open("/dev/dev", os.O_WRONLY)
        with pytest.raises(OSError, match="Bad file descriptor"):
            p.write(reader, b"x")
        with pytest.raises(OSError, match="Bad file descriptor"):
            p.read(writer, 1)

    def test_what_the_driver_does_not_have(self, p, device):
        device()
        fd = p.open("/dev/dev")
        for number, call in {
            errno.EINVAL: lambda: p.read(fd, 1),
            errno.ESPIPE: lambda: p.lseek(fd, 0),
            errno.ENOTTY: lambda: p.ioctl(fd, 1),
            errno.ENODEV: lambda: p.mmap(fd, 4096, RW, mmap.MAP_SHARED),
        }.items():
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == number

    def test_fsync(self, p, device):
        seen = []
        device(fsync=lambda file, start, end, datasync: seen.append((start, datasync)))
        fd = p.open("/dev/dev")
        p.fsync(fd)
        assert seen == [(0, 0)]

    def test_errors_become_oserror(self, p, device):
        device(read=lambda *a: -errno.EIO, open=lambda inode, file: 0)
        with pytest.raises(OSError, match="Input/output error") as caught:
            p.read(p.open("/dev/dev"), 1)
        assert caught.value.filename == "/dev/dev"

    def test_a_read_without_result_is_the_translations_mistake(self, p, device):
        device(read=lambda *a: None)
        fd = p.open("/dev/dev")
        with pytest.raises(TypeError, match="returned None"):
            p.read(fd, 1)

    def test_ioctl_of_either_generation(self, p, device):
        device(ioctl=lambda inode, file, cmd, arg: cmd + arg)
        assert p.ioctl(p.open("/dev/dev"), 40, 2) == 42

    def test_enoioctlcmd(self, p, device):
        device(unlocked_ioctl=lambda file, cmd, arg: -515)
        with pytest.raises(OSError) as caught:
            p.ioctl(p.open("/dev/dev"), 1)
        assert caught.value.errno == errno.ENOTTY

    def test_an_interrupted_call(self, p, device):
        device(read=lambda *a: -512)
        with pytest.raises(InterruptedError):
            p.read(p.open("/dev/dev"), 1)

    def test_poll(self, p, device):
        device(poll=lambda file, table: 0x41)
        assert p.poll(p.open("/dev/dev")) == 0x41


class TestContext:
    def test_a_system_call_runs_as_the_process(self, k, p, device):
        seen = []
        device(open=lambda inode, file: seen.append((k.current.pid, k.current.comm, k.current.mm is p.mm)))
        p.open("/dev/dev")
        assert seen == [(p.pid, "user", True)]
        assert k.current.pid != p.pid

    def test_left_atomic(self, k, p, device):
        def ioctl(file, cmd, arg):
            k.cpu.preempt_count += 1
            return 0

        device(unlocked_ioctl=ioctl)
        fd = p.open("/dev/dev")
        with k.expect("preempt-imbalance"):
            p.ioctl(fd, 1)
        assert k.cpu.preempt_count == 0

    def test_irqs_left_off(self, k, p, device):
        def ioctl(file, cmd, arg):
            k.cpu.irqs_off = True
            return 0

        device(unlocked_ioctl=ioctl)
        fd = p.open("/dev/dev")
        with k.expect("irqs-left-disabled") as found:
            p.ioctl(fd, 1)
        assert found[0].headline == "syscall 16 left IRQs disabled"

    def test_an_oops_kills_the_process(self, k, p, device):
        released = []

        def read(file, buf, count, pos):
            return NULL[0]

        device(read=read, release=lambda inode, file: released.append(file))
        fd = p.open("/dev/dev")
        with k.expect("null-deref"), pytest.raises(kmock.KernelOops):
            p.read(fd, 1)
        assert len(released) == 1
        p.close(fd)
        with pytest.raises(ProcessLookupError):
            p.read(fd, 1)

    def test_failing_the_nth_call_reaches_into_the_system_call(self, k, p, device):
        def open_(inode, file):
            file.private_data = kmalloc(16, GFP_KERNEL)
            return 0 if file.private_data else -errno.ENOMEM

        device(open=open_, release=lambda inode, file: kfree(file.private_data))
        k.faults.fail_nth(1)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            p.open("/dev/dev")
        p.open("/dev/dev")


class TestLeftByFiles:
    def test_each_round_leaves_something(self, k, p, device):
        def open_(inode, file):
            file.private_data = kmalloc(16, GFP_KERNEL)
            return 0

        device(open=open_)
        with k.expect("leak-per-open", count=1) as found:
            p.close(p.open("/dev/dev"))
        assert found[0].where.function == "open_"

    def test_a_list_that_grows_with_every_open(self, k, p, device):
        known = []

        def open_(inode, file):
            known.append(kmalloc(16, GFP_KERNEL))
            return 0

        device(open=open_)
        p.close(p.open("/dev/dev"))
        with k.expect("leak-per-open"):
            p.close(p.open("/dev/dev"))
        for one in known:
            kfree(one)

    def test_what_the_first_open_makes_for_all_is_no_leak(self, k, p, device):
        shared = []

        def open_(inode, file):
            if not shared:
                shared.append(kmalloc(16, GFP_KERNEL))
            return 0

        device(open=open_)
        for _ in range(3):
            p.close(p.open("/dev/dev"))
        kfree(shared[0])

    def test_a_failing_open_loses_something(self, k, p, device):
        def open_(inode, file):
            file.private_data = kmalloc(16, GFP_KERNEL)
            return -errno.EIO

        device(open=open_)
        with k.expect("leak-on-error-path"), pytest.raises(OSError, match="Input/output error"):
            p.open("/dev/dev")

    def test_a_failing_ioctl_loses_something(self, k, p, device):
        def ioctl(file, cmd, arg):
            kmalloc(16, GFP_KERNEL)
            return -errno.EIO

        device(unlocked_ioctl=ioctl)
        fd = p.open("/dev/dev")
        with k.expect("leak-on-error-path"), pytest.raises(OSError, match="Input/output error"):
            p.ioctl(fd, 1)

    def test_what_a_failing_write_keeps_for_the_next_is_no_leak(self, k, p, device):
        kept = []

        def write(file, buf, count, pos):
            kept.append(kmalloc(16, GFP_KERNEL))
            return -errno.EIO

        device(write=write)
        fd = p.open("/dev/dev")
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                p.write(fd, b"x")
        for one in kept:
            kfree(one)


class TestMemory:
    def test_anonymous_memory(self, p):
        address = p.mmap(-1, 10000, RW, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        assert address % 4096 == 0
        assert p.load(address, 12288) == bytes(12288)
        p.store(address + 4090, b"0123456789")
        assert p.load(address + 4090, 10) == b"0123456789"

    def test_holes(self, p):
        address = p.mmap(-1, 3 * 4096, RW, mmap.MAP_PRIVATE)
        p.store(address, b"x" * 3 * 4096)
        p.munmap(address + 4096, 4096)
        assert p.load(address + 8192, 4) == b"xxxx"
        with pytest.raises(kmock.UserSignal) as caught:
            p.load(address, 4097)
        assert caught.value.address == address + 4096
        assert caught.value.signal == "SIGSEGV"

    def test_read_only(self, p):
        address = p.mmap(-1, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE)
        assert p.load(address, 1) == b"\0"
        with pytest.raises(kmock.UserSignal):
            p.store(address, b"x")

    def test_bad_arguments(self, p):
        for length, offset in ((0, 0), (4096, 1)):
            with pytest.raises(OSError, match="Invalid argument"):
                p.mmap(-1, length, RW, mmap.MAP_PRIVATE, offset)
        with pytest.raises(OSError, match="Invalid argument"):
            p.munmap(4095, 4096)

    def test_a_buffer_ends_at_a_hole(self, p):
        u = p.buffer(b"abc")
        assert p.load(u, 3) == b"abc"
        for bad in (lambda: p.load(u, 4), lambda: p.store(u + 3, b"x")):
            with pytest.raises(kmock.UserSignal):
                bad()
        assert p.load(p.buffer(5000), 5000) == bytes(5000)

    def test_memory_is_given_back(self, k):
        p = k.user()
        p.buffer(100_000)
        pages = [k.memmap.page(entry >> 12 & 0xFFFFFFF) for entry in p.mm.pgd.entries.values()]
        assert len(pages) == 25
        p.exit()
        assert p.mm.pgd.entries == {}
        assert all(page._refcount == 0 for page in pages)

    def test_the_tests_own_code_may_copy_to_its_process(self, k, p):
        buf = kzalloc(8, GFP_KERNEL)
        u = p.buffer(8)
        assert copy_to_user(u, buf, 8) == 0
        p.exit()
        assert copy_from_user(buf, u, 8) == 8
        kfree(buf)


class TestSleeping:
    def test_a_read_that_waits_for_another_task(self, k, p, device):
        from kmock.linux.completion import complete, completion, init_completion, wait_for_completion
        from kmock.linux.kthread import kthread_run

        done = completion()
        init_completion(done)
        seen = []

        def read(file, buf, count, pos):
            seen.append(k.current.pid)
            wait_for_completion(done)
            seen.append(k.current.pid)
            return 0

        def thread(data):
            seen.append("thread")
            complete(done)
            return 0

        device(read=read)
        fd = p.open("/dev/dev")
        kthread_run(thread, None, "helper")
        assert p.read(fd, 1) == b""
        assert seen == [p.pid, "thread", p.pid]
        assert k.current.comm == "test"

    def test_a_wait_that_nothing_ends(self, k, p, device):
        from kmock.linux.completion import completion, init_completion, wait_for_completion

        never = completion()
        init_completion(never)
        device(unlocked_ioctl=lambda file, cmd, arg: wait_for_completion(never))
        fd = p.open("/dev/dev")
        with k.expect("hang"), pytest.raises(kmock.Deadlock):
            p.ioctl(fd, 1)
        assert k.current.comm == "test"
