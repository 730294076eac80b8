"""What /proc and /sys tell of devices and modules."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.fs import file_operations, register_chrdev, unregister_chrdev
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice

DRIVER = """
from kmock.linux.module import *
nr = 4
mask = 255
on = True
table = [1, 2]
secret = 7
module_param("nr", int, S_IRUGO | S_IWUSR)
module_param("mask", hexint, S_IRUGO)
module_param("on", bool, S_IRUGO)
module_param_array("table", int, None, S_IRUGO)
module_param("secret", int, 0)
MODULE_LICENSE("GPL")
"""


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def test_devices(k):
    assert k.read_file("/proc/devices") == "Character devices:\n 10 misc\n\nBlock devices:\n"
    register_chrdev(240, "mine", file_operations())
    assert "240 mine\n" in k.read_file("/proc/devices")
    unregister_chrdev(240, "mine")
    assert "mine" not in k.read_file("/proc/devices")


def test_misc(k):
    both = [miscdevice(name="one"), miscdevice(name="two")]
    for one in both:
        misc_register(one)
    assert k.read_file("/proc/misc") == "126 two\n127 one\n"
    for one in both:
        misc_deregister(one)


@pytest.fixture
def module(k, tmp_path):
    path = tmp_path / "drv.py"
    path.write_text(DRIVER)
    return k.insmod(path)


def test_modules(k, module):
    assert k.read_file("/proc/modules").startswith("drv 16384 0 - Live 0xffffffffa0000000 (O)\n")
    assert k.read_file("/sys/module/drv/refcnt") == "0\n"
    k.rmmod(module)
    assert k.read_file("/proc/modules") == ""


def test_parameters(k, module):
    values = {name: k.read_file(f"/sys/module/drv/parameters/{name}") for name in ("nr", "mask", "on", "table")}
    assert values == {"nr": "4\n", "mask": "0xff\n", "on": "Y\n", "table": "1,2\n"}
    k.write_file("/sys/module/drv/parameters/nr", "9\n")
    assert module.nr == 9


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("drv/parameters/secret", FileNotFoundError),
        ("drv/parameters/none", FileNotFoundError),
        ("none/refcnt", FileNotFoundError),
    ],
)
def test_what_is_not_there(k, module, path, error):
    with pytest.raises(error):
        k.read_file(f"/sys/module/{path}")


def test_what_may_not_be_written(k, module):
    with pytest.raises(PermissionError):
        k.write_file("/sys/module/drv/parameters/on", "N")
    with pytest.raises(OSError, match="invalid for parameter"):
        k.write_file("/sys/module/drv/parameters/nr", "many")
