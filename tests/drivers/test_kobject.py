"""Kobjects: references, places in /sys, attributes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import kmock
from kmock.linux.device import (
    ATTRIBUTE_GROUPS,
    BUS_ATTR_RO,
    CLASS_ATTR_RO,
    DEVICE_ATTR,
    DEVICE_ATTR_RO,
    DEVICE_ATTR_RW,
    DEVICE_ATTR_WO,
    DRIVER_ATTR_RO,
    DRIVER_ATTR_RW,
    DRIVER_ATTR_WO,
    attribute_group,
    bus_register,
    bus_type,
    bus_unregister,
    class_,
    class_register,
    class_unregister,
    dev_set_drvdata,
    dev_to_node,
    device,
    device_add_group,
    device_create_file,
    device_create_with_groups,
    device_destroy,
    device_driver,
    device_release_driver,
    device_remove_file,
    device_remove_group,
    devm_device_add_group,
    driver_register,
    driver_unregister,
    set_dev_node,
)
from kmock.linux.kobject import (
    __ATTR,
    __ATTR_RO,
    __ATTR_RW,
    KOBJ_CHANGE,
    kobj_type,
    kobject,
    kobject_add,
    kobject_create_and_add,
    kobject_del,
    kobject_get,
    kobject_init,
    kobject_init_and_add,
    kobject_name,
    kobject_put,
    kobject_set_name,
    kobject_uevent,
    kset_create_and_add,
    kset_find_obj,
    kset_unregister,
)
from kmock.linux.kstrtox import kstrtoint
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.sysfs import (
    sysfs_create_file,
    sysfs_create_group,
    sysfs_create_link,
    sysfs_emit,
    sysfs_emit_at,
    sysfs_remove_file,
    sysfs_remove_group,
    sysfs_remove_link,
)
from kmock.linux.types import NULL, Struct, sizeof, u32

if TYPE_CHECKING:
    from kmock import Kernel

state = {"level": 3}


def level_show(dev, attr, buf):
    return sysfs_emit(buf, "%d\n", state["level"])


def level_store(dev, attr, buf, count):
    err, value = kstrtoint(buf, 0)
    if err:
        return err
    state["level"] = value
    return count


def name_show(obj, buf):
    return sysfs_emit(buf, "%s\n", obj.name)


def name_store(obj, buf, count):
    state["name"] = bytes(buf[0:count])
    return count


dev_attr_level = DEVICE_ATTR_RW("level")
level_attrs = [dev_attr_level]
level_groups = ATTRIBUTE_GROUPS("level")


class TestReferences:
    def test_keep_parents(self, kernel: Kernel) -> None:
        gone: list[str] = []
        ktype = kobj_type(release=lambda kobj: gone.append(kobj.name))
        parent, child = kobject(), kobject()
        assert kobject_init_and_add(parent, ktype, None, "parent") == 0
        kobject_init(child, ktype)
        assert kobject_add(child, parent, "child%d", 1) == 0
        kobject_put(parent)
        assert gone == []
        assert kobject_get(child) is child
        kobject_del(child)
        assert gone == ["parent"]
        kobject_put(child)
        kobject_put(child)
        assert gone == ["parent", "child1"]
        assert kobject_get(None) is None
        kobject_put(None)
        kobject_del(None)

    def test_begin_with_init(self, kernel: Kernel, dmesg) -> None:
        kobj = kobject()
        with kernel.expect("kobject-uninit") as found:
            assert kobject_add(kobj, None, "early") == -errno.EINVAL
        assert "tried to add an uninitialized object" in found[0].headline
        with kernel.expect("kobject-uninit") as found, kernel.expect("refcount-*"):
            kobject_get(kobject())
        assert "is not initialized, yet kobject_get() is being called." in found[0].headline
        kobject_init(kobj, None)
        assert "must have a ktype to be initialized properly!" in dmesg

    def test_names(self, kernel: Kernel) -> None:
        kobj = kobject_create_and_add("top", None)
        assert kobject_name(kobj) == "top"
        with kernel.expect("registration-twice"):
            assert kobject_create_and_add("top", None) == NULL
        kobject_put(kobj)
        other = kobject()
        assert kobject_set_name(other, "a/%d", 1) == 0
        assert kobject_name(other) == "a!1"
        assert kobject_uevent(other, KOBJ_CHANGE) == 0
        kernel.faults.fail_nth(1)
        assert kobject_create_and_add("none", None) == NULL

    def test_sets(self, kernel: Kernel) -> None:
        kset = kset_create_and_add("set", None, None)
        kobj = kobject()
        kobj.kset = kset
        kobject_init_and_add(kobj, kobj_type(release=lambda kobj: None), None, "member")
        assert kset_find_obj(kset, "member") is kobj
        assert kset_find_obj(kset, "other") is None
        kobject_put(kobj)
        kobject_put(kobj)
        assert kset_find_obj(kset, "member") is None
        kset_unregister(kset)
        kset_unregister(None)

    def test_memory_is_freed_by_the_last_one(self) -> None:
        class Thing(Struct):
            kobj: kobject
            n: u32

        with kmock.boot() as k:
            thing = Thing.at(kzalloc(sizeof(Thing), GFP_KERNEL))
            kobject_init(thing.kobj, kobj_type(release=lambda kobj: None))
            kfree(thing)
        assert [r.kind for r in k.reports] == ["free-of-typed-object"]


class TestAttributes:
    def test_of_a_device(self, kernel: Kernel) -> None:
        dev = kernel.device("dev")
        assert device_create_file(dev, dev_attr_level) == 0
        path = "/sys/devices/dev/level"
        assert kernel.read_file(path) == "3\n"
        kernel.write_file(path, "7")
        assert kernel.read_file(path) == "7\n"
        with pytest.raises(OSError) as refused:
            kernel.write_file(path, "seven")
        assert refused.value.errno == errno.EINVAL
        with kernel.expect("registration-twice"):
            assert device_create_file(dev, dev_attr_level) == -errno.EEXIST
        device_remove_file(dev, dev_attr_level)
        with pytest.raises(FileNotFoundError):
            kernel.read_file(path)
        state["level"] = 3

    def test_rights(self, kernel: Kernel) -> None:
        dev = kernel.device("dev")
        device_create_file(dev, DEVICE_ATTR_RO("level"))
        device_create_file(dev, DEVICE_ATTR("set", 0o200, None, level_store))
        device_create_file(dev, DEVICE_ATTR("none", 0o644, None, None))
        with pytest.raises(PermissionError):
            kernel.write_file("/sys/devices/dev/level", "1")
        with pytest.raises(PermissionError):
            kernel.read_file("/sys/devices/dev/set")
        for use in (kernel.read_file, lambda path: kernel.write_file(path, "1")):
            with pytest.raises(OSError) as refused:
                use("/sys/devices/dev/none")
            assert refused.value.errno == errno.EIO
        assert DEVICE_ATTR_WO("level").store is level_store

    def test_groups(self, kernel: Kernel) -> None:
        dev = kernel.device("dev")
        named = attribute_group(name="power", attrs=[dev_attr_level])
        assert device_add_group(dev, named) == 0
        assert kernel.read_file("/sys/devices/dev/power/level") == "3\n"
        device_remove_group(dev, named)
        hidden = attribute_group(attrs=[dev_attr_level], is_visible=lambda obj, attr, n: 0)
        assert device_add_group(dev, hidden) == 0
        with pytest.raises(FileNotFoundError):
            kernel.read_file("/sys/devices/dev/level")
        assert devm_device_add_group(dev, level_groups[0]) == 0
        assert kernel.read_file("/sys/devices/dev/level") == "3\n"
        device_release_driver(dev)
        with pytest.raises(FileNotFoundError):
            kernel.read_file("/sys/devices/dev/level")

    def test_a_group_comes_whole_or_not_at_all(self, kernel: Kernel) -> None:
        dev = kernel.device("dev")
        twice = attribute_group(attrs=[DEVICE_ATTR_RO("level"), dev_attr_level])
        with kernel.expect("registration-twice"):
            assert device_add_group(dev, twice) == -errno.EEXIST
        with pytest.raises(FileNotFoundError):
            kernel.read_file("/sys/devices/dev/level")

    def test_before_the_device_is_there(self, kernel: Kernel) -> None:
        with kernel.expect("kobject-uninit"):
            assert device_create_file(device(), dev_attr_level) == -errno.EINVAL
        assert device_add_group(device(), level_groups[0]) == -errno.EINVAL

    def test_what_a_show_may_say(self, kernel: Kernel, dmesg) -> None:
        dev = kernel.device("dev")
        device_create_file(dev, DEVICE_ATTR("failing", 0o444, lambda dev, attr, buf: -errno.ENXIO, None))
        with pytest.raises(OSError) as refused:
            kernel.read_file("/sys/devices/dev/failing")
        assert refused.value.errno == errno.ENXIO
        device_create_file(dev, DEVICE_ATTR("long", 0o444, lambda dev, attr, buf: 4096, None))
        assert len(kernel.read_file("/sys/devices/dev/long")) == 4095
        assert "returned bad count" in dmesg

    def test_of_classes_drivers_and_buses(self, kernel: Kernel) -> None:
        show = CLASS_ATTR_RO("level")
        cls = class_(name="toys", class_groups=[attribute_group(attrs=[show])], dev_groups=level_groups)
        assert class_register(cls) == 0
        assert kernel.read_file("/sys/class/toys/level") == "3\n"
        dev = device_create_with_groups(cls, None, 0x100001, "data", None, "toy%d", 1)
        assert kernel.read_file("/sys/class/toys/toy1/level") == "3\n"
        assert kernel.read_file("/sys/devices/virtual/toys/toy1/dev") == "1:1\n"
        set_dev_node(dev, 0)
        assert dev_to_node(dev) == 0
        dev_set_drvdata(dev, "other")
        device_destroy(cls, 0x100001)
        class_unregister(cls)
        bus = bus_type(name="toybus", bus_groups=[attribute_group(attrs=[BUS_ATTR_RO("name")])])
        bus_register(bus)
        assert kernel.read_file("/sys/bus/toybus/name") == "toybus\n"
        assert DRIVER_ATTR_RO("name").show is name_show
        group = attribute_group(attrs=[DRIVER_ATTR_RW("name")])
        drv = device_driver(name="toydrv", bus=bus, groups=[group])
        driver_register(drv)
        assert kernel.read_file("/sys/bus/toybus/drivers/toydrv/name") == "toydrv\n"
        kernel.write_file("/sys/bus/toybus/drivers/toydrv/name", "x")
        assert state["name"] == b"x\n"
        assert DRIVER_ATTR_WO("name").store is name_store
        assert kernel.read_file("/sys/bus/toybus/drivers_autoprobe") == "1\n"
        kernel.write_file("/sys/bus/toybus/drivers_autoprobe", "0")
        assert kernel.read_file("/sys/bus/toybus/drivers_autoprobe") == "0\n"
        driver_unregister(drv)
        bus_unregister(bus)

    def test_of_a_kobject(self, kernel: Kernel) -> None:
        kobj = kobject_create_and_add("top", None)
        attr = _ANY
        assert sysfs_create_file(kobj, attr) == 0
        assert kernel.read_file("/sys/top/level") == "3\n"
        sysfs_remove_file(kobj, attr)
        group = attribute_group(name="sub", attrs=[attr])
        assert sysfs_create_group(kobj, group) == 0
        assert kernel.read_file("/sys/top/sub/level") == "3\n"
        other = kobject_create_and_add("other", None)
        assert sysfs_create_link(other, kobj, "link") == 0
        assert kernel.read_file("/sys/other/link/sub/level") == "3\n"
        sysfs_remove_link(other, "link")
        sysfs_remove_group(kobj, group)
        assert sysfs_create_group(kobject(), group) == -errno.EINVAL
        kobject_put(other)
        kobject_put(kobj)

    def test_pasted_names(self, kernel: Kernel) -> None:
        assert (_RO.show, _RO.store) == (level_show, None)
        assert (_RW.show, _RW.store) == (level_show, level_store)

    def test_emit_wants_a_page(self, kernel: Kernel) -> None:
        page = kzalloc(4096, GFP_KERNEL)
        assert sysfs_emit(page, "%s", "abc") == 3
        assert sysfs_emit_at(page, 3, "%d", 45) == 2
        assert page[0:6] == b"abc45\0"
        with kernel.expect("driver-warning", count=2) as found:
            assert sysfs_emit(page + 8, "x") == 0
            assert sysfs_emit_at(page, 4096, "x") == 0
        assert found[0].headline.startswith("invalid sysfs_emit: buf:")
        kfree(page)


_ANY = __ATTR("level", 0o644, level_show, level_store)
_RO = __ATTR_RO("level")
_RW = __ATTR_RW("level")
