"""Copies under a lock of the driver's own that its handlers take under mmap_lock: one of the two waits for ever."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.gfp import GFP_KERNEL, get_zeroed_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import PAGE_SIZE, get_page, get_user_pages, put_page, virt_to_page, vm_operations_struct
from kmock.linux.mman import MAP_SHARED, PROT_READ
from kmock.linux.mmap_lock import mmap_read_lock, mmap_read_unlock
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.slab import kfree, kzalloc
from kmock.linux.uaccess import copy_to_user


class Driver:
    """Data under a lock that its readers take, and its fault handler too."""

    def __init__(self, k):
        self.k = k
        self.lock = DEFINE_MUTEX("dev_lock")
        self.data = kzalloc(64, GFP_KERNEL)
        self.page = virt_to_page(get_zeroed_page(GFP_KERNEL))
        fops = file_operations(unlocked_ioctl=lambda f, cmd, arg: self.handlers[cmd](arg), mmap=self.mmap)
        self.dev = miscdevice(name="dev", fops=fops)
        self.handlers = {1: self.copy_inside, 2: self.copy_after, 3: self.grab_inside}
        misc_register(self.dev)

    def mmap(self, filp, vma):
        vma.vm_ops = vm_operations_struct(fault=self.fault)
        return 0

    def fault(self, vmf):
        mutex_lock(self.lock)
        page = self.page
        get_page(page)
        mutex_unlock(self.lock)
        vmf.page = page
        return 0

    def copy_inside(self, arg):
        mutex_lock(self.lock)
        left = copy_to_user(arg, self.data, 64)
        mutex_unlock(self.lock)
        return -EFAULT if left else 0

    def copy_after(self, arg):
        mutex_lock(self.lock)
        copy = bytes(self.data[:64])
        mutex_unlock(self.lock)
        return -EFAULT if copy_to_user(arg, copy, 64) else 0

    def grab_inside(self, arg):
        mm = self.k.current.mm
        mutex_lock(self.lock)
        mmap_read_lock(mm)
        n, pages = get_user_pages(arg, 1, 0)
        mmap_read_unlock(mm)
        mutex_unlock(self.lock)
        for page in pages[:n]:
            put_page(page)
        return 0 if n == 1 else -EFAULT

    def play(self, *what):
        p = self.k.user()
        fd = p.open("/dev/dev")
        at = p.mmap(fd, PAGE_SIZE, PROT_READ, MAP_SHARED)
        buffer = p.buffer(64)
        for cmd in what:
            if cmd:
                assert p.ioctl(fd, cmd, buffer) == 0
            else:
                p.load(at, 1)
        p.munmap(at, PAGE_SIZE)
        p.close(fd)
        misc_deregister(self.dev)
        put_page(self.page)
        kfree(self.data)


@pytest.mark.parametrize("order", [(1, 0), (0, 1)])
def test_a_copy_under_a_lock_that_a_fault_takes(order):
    with kmock.boot() as k, k.expect("usercopy-under-lock", count=1) as found:
        Driver(k).play(*order, *order)
    assert found[0].headline == "WARNING: possible circular locking dependency detected"
    assert "dev_lock" in "".join(found[0].lines)
    assert any("copy_inside" in str(stack) for stack in found[0].stacks.values())


@pytest.mark.parametrize("order", [(2, 0), (0, 2), (1,)])
def test_a_copy_outside_or_without_a_fault(order):
    with kmock.boot() as k:
        Driver(k).play(*order)


@pytest.mark.parametrize("order", [(3, 0), (0, 3)])
def test_taking_the_lock_itself_is_an_inversion_like_any(order):
    with kmock.boot() as k, k.expect("lock-order-inversion", count=1):
        Driver(k).play(*order)
