"""class_create() and device_create()."""

from __future__ import annotations

import errno

import pytest

import kmock
from kmock.linux.cdev import cdev_add, cdev_alloc, cdev_del
from kmock.linux.device import (
    class_create,
    class_destroy,
    dev_get_drvdata,
    dev_set_drvdata,
    device_create,
    device_destroy,
)
from kmock.linux.err import IS_ERR, PTR_ERR
from kmock.linux.fs import alloc_chrdev_region, file_operations, unregister_chrdev_region

DRIVER = """
from kmock.linux.device import *
cls = None
def init_module():
    global cls
    cls = class_create(None, "left")
    device_create(cls, None, 0, None, "left%d", 3)
def cleanup_module():
    pass
"""


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


def test_a_node_of_ones_own_name(k):
    _, dev = alloc_chrdev_region(0, 2, "drv")
    entry = cdev_alloc()
    entry.ops = file_operations(read=lambda *a: 0)
    cdev_add(entry, dev, 2)
    cls = class_create(None, "things")
    assert not IS_ERR(cls)
    made = device_create(cls, None, dev + 1, "mine", "thing%d", 1)
    assert dev_get_drvdata(made) == "mine"
    dev_set_drvdata(made, "yours")
    assert dev_get_drvdata(made) == "yours"
    p = k.user()
    assert p.read(p.open("/dev/thing1"), 1) == b""
    p.exit()
    device_destroy(cls, dev + 1)
    with pytest.raises(FileNotFoundError):
        k.user().open("/dev/thing1")
    class_destroy(cls)
    cdev_del(entry)
    unregister_chrdev_region(dev, 2)


def test_either_generation(k):
    assert class_create("one").name == "one"
    with k.expect("registration-twice") as found:
        assert PTR_ERR(class_create(None, "one")) == -errno.EEXIST
    assert found[0].headline == "sysfs: cannot create duplicate filename '/class/one'"


def test_names_are_taken_once(k):
    cls = class_create("c")
    device_create(cls, None, 0, None, "d")
    with k.expect("registration-twice"):
        assert PTR_ERR(device_create(cls, None, 0, None, "d")) == -errno.EEXIST


def test_without_memory(k):
    k.faults.fail_nth(1)
    assert PTR_ERR(class_create("c")) == -errno.ENOMEM
    cls = class_create("c")
    k.faults.fail_nth(1)
    assert PTR_ERR(device_create(cls, None, 0, None, "d")) == -errno.ENOMEM


def test_left_by_a_module(k, tmp_path):
    path = tmp_path / "left.py"
    path.write_text(DRIVER)
    module = k.insmod(path)
    with k.expect("registration-left", count=2) as found:
        k.rmmod(module)
    assert [r.hint for r in found] == [
        'call device_destroy() for device "left3" on this way out too',
        'call class_destroy() for class "left" on this way out too',
    ]
