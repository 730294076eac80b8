"""insmod and rmmod: fresh images, parameters, references, and what a module leaves behind."""

from __future__ import annotations

import errno
import sys
import textwrap

import pytest

import kmock
from kmock.kernel.module import module_name
from kmock.linux.module import THIS_MODULE, module_init

PLAIN = """
    from kmock.linux.module import *

    loads = []

    def start():
        loads.append(THIS_MODULE.name)
        return 0

    def stop():
        loads.clear()

    module_init(start)
    module_exit(stop)
    MODULE_LICENSE("GPL")
"""


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def write(tmp_path):
    """Writes a driver; returns its path."""

    def make(text, name="drv.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return make


class TestLoading:
    def test_every_load_is_a_fresh_image(self, k, write):
        path = write(PLAIN)
        first = k.insmod(path)
        assert first.loads == ["drv"]
        k.rmmod(first)
        again = k.insmod(str(path))
        assert again.loads == ["drv"]
        assert again.image.module is not first.image.module
        assert "drv" not in sys.modules

    def test_by_dotted_name(self, k):
        module = k.insmod("sample_drivers.scull")
        assert module.name == "scull"
        assert module.scull_nr_devs == 4
        with pytest.raises(AttributeError, match="scull has no 'nothing'"):
            _ = module.nothing
        k.rmmod(module)

    def test_two_machines_have_two_images(self, write):
        path = write(PLAIN)
        with kmock.boot() as a:
            one = a.insmod(path)
            with kmock.boot() as b:
                two = b.insmod(path)
                two.loads.append("more")
            assert one.loads == ["drv"]

    def test_once_is_enough(self, k, write):
        path = write(PLAIN)
        k.insmod(path)
        with pytest.raises(FileExistsError):
            k.insmod(path)

    def test_not_there(self, k, tmp_path):
        for name in ("sample_drivers.nothing", tmp_path / "nothing.py"):
            with pytest.raises(ModuleNotFoundError):
                k.insmod(name)

    def test_init_module_without_the_macro(self, k, write):
        module = k.insmod(
            write("counts = []\ndef init_module():\n    counts.append(1)\ndef cleanup_module():\n    pass\n")
        )
        assert module.counts == [1]

    def test_a_module_that_is_one_misc_device(self, k, write):
        module = k.insmod(
            write("""
            from kmock.linux.fs import *
            from kmock.linux.miscdevice import *
            from kmock.linux.module import *
            MODULE_LICENSE("GPL")
            module_misc_device(miscdevice(name="only", fops=file_operations(owner=THIS_MODULE)))
        """)
        )
        p = k.user()
        p.close(p.open("/dev/only"))
        k.rmmod(module)
        with pytest.raises(FileNotFoundError):
            p.open("/dev/only")

    def test_outside_insmod_nothing_runs(self):
        assert THIS_MODULE is None
        names = {}
        exec("from kmock.linux.module import module_init\nmodule_init(len)", names)
        assert names["init_module"] is len
        assert module_init is names["module_init"]

    @pytest.mark.parametrize("name", ["a/scull-c.py", "pkg.scull_c", "scull_c"])
    def test_names(self, name):
        assert module_name(name) == "scull_c"

    def test_licence_and_taint(self, k, write):
        k.insmod(write("x = 1\n"))
        assert "drv: module license 'unspecified' taints kernel." in k.dmesg()
        assert "drv: loading out-of-tree module taints kernel." in k.dmesg()


class TestHelpers:
    def test_files_beside_it_are_part_of_the_image(self, k, write):
        write("state = []\n", "parts.py")
        path = write("import parts\nfrom kmock.linux.module import *\nMODULE_LICENSE('GPL')\nparts.state.append(1)\n")
        assert k.insmod(path).parts.state == [1]
        k.rmmod(k.modules.find("drv"))
        assert k.insmod(path).parts.state == [1]
        assert "parts" not in sys.modules

    def test_relative_imports_in_a_package(self, k, write, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        write("", "drivers_pkg/__init__.py")
        write("state = []\n", "drivers_pkg/parts.py")
        path = write("from . import parts\nfrom .parts import state\nstate.append(1)\n", "drivers_pkg/drv.py")
        import importlib

        shared = importlib.import_module("drivers_pkg.parts")
        for name in ("drivers_pkg.drv", path):
            module = k.insmod(name)
            assert module.parts.state == [1]
            k.rmmod(module)
        assert sys.modules["drivers_pkg.parts"] is shared
        assert shared.state == []

    def test_a_loaded_module_is_shared(self, k, write):
        lib = write("state = []\n", "lib.py")
        path = write("from lib import state\nstate.append(1)\n")
        library = k.insmod(lib)
        k.insmod(path)
        assert vars(library.image.module)["state"] == [1]


class TestParameters:
    SOURCE = """
        from kmock.linux.module import *
        nr = 4
        name = "x"
        on = False
        table = [1, 2]
        module_param("nr", uint, S_IRUGO)
        module_param_named("label", "name", charp, 0)
        module_param("on", bool, 0)
        module_param_array("table", int, None, 0, most=3)
        MODULE_PARM_DESC("nr", "how many")
        seen = []
        def start():
            seen.append((nr, name, on, table))
        module_init(start)
        module_exit(lambda: None)
        MODULE_LICENSE("GPL")
    """

    def load(self, k, write, **params):
        return k.insmod(write(self.SOURCE), **params).seen[0]

    def test_defaults(self, k, write):
        assert self.load(k, write) == (4, "x", False, [1, 2])

    def test_values(self, k, write):
        assert self.load(k, write, nr=7, label="eth", on=True, table=[3]) == (7, "eth", True, [3])

    def test_as_text(self, k, write):
        assert self.load(k, write, nr="0x10", on="y", table="1,2,3") == (16, "x", True, [1, 2, 3])

    @pytest.mark.parametrize(
        "bad", [{"nr": -1}, {"nr": "abc"}, {"label": 5}, {"on": 2}, {"table": [1] * 4}, {"nr": None}]
    )
    def test_values_that_do_not_fit(self, k, write, bad):
        with pytest.raises(OSError, match="invalid for parameter") as caught:
            self.load(k, write, **bad)
        assert caught.value.errno == errno.EINVAL
        assert f"invalid for parameter `{next(iter(bad))}'" in k.dmesg()

    def test_unknown(self, k, write):
        with pytest.raises(TypeError, match="module drv has no parameter 'labl': did you mean 'label'"):
            self.load(k, write, labl="x")

    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ("nr = 4; module_param(nr, int, 0)", TypeError),
            ("module_param('nr', int, 0)", NameError),
            ("nr = 4; module_param('nr', float, 0)", TypeError),
        ],
    )
    def test_declared_badly(self, k, write, line, error):
        with pytest.raises(error):
            k.insmod(write(f"from kmock.linux.module import *\n{line}\n"))


class TestInit:
    def test_failure_unloads(self, k, write):
        path = write("def init_module():\n    return -19\ndef cleanup_module():\n    raise AssertionError\n")
        with pytest.raises(OSError) as caught:
            k.insmod(path)
        assert caught.value.errno == errno.ENODEV
        assert k.modules.find("drv") is None

    def test_a_positive_result_is_odd(self, k, write):
        k.insmod(write("def init_module():\n    return 5\ndef cleanup_module():\n    pass\n"))
        assert "'drv'->init suspiciously returned 5" in k.dmesg()

    def test_what_failing_init_left(self, k, write):
        path = write("""
            from kmock.linux.slab import *
            from kmock.linux.fs import *
            kept = None
            def init_module():
                global kept
                kept = kmalloc(64, GFP_KERNEL)
                register_chrdev(240, "left", file_operations())
                return -5
        """)
        with (
            k.expect("leak-on-error-path") as leaks,
            k.expect("registration-left") as registrations,
            pytest.raises(OSError, match="Input/output"),
        ):
            k.insmod(path)
        assert leaks[0].where.function == registrations[0].where.function == "init_module"
        assert registrations[0].hint.startswith("call unregister_chrdev() for char device region 240:0-255")

    def test_left_with_preemption_off(self, k, write):
        with k.expect("preempt-imbalance") as found:
            k.insmod(
                write("""
                from kmock.current import current
                def init_module():
                    current.kernel.cpu.preempt_count += 1
                def cleanup_module():
                    pass
            """)
            )
        assert found[0].headline.startswith("initcall init_module+0x0/0x0 [drv] returned with preemption imbalance")


class TestExit:
    LEAKY = """
        from kmock.linux.slab import *
        from kmock.linux.miscdevice import *
        from kmock.linux.fs import *
        kept = []
        misc = miscdevice(name="left", fops=file_operations())
        def init_module():
            kept.append(kmalloc(64, GFP_KERNEL))
            return misc_register(misc)
        def cleanup_module():
            pass
    """

    def test_what_is_left_is_reported_by_name(self, k, write):
        module = k.insmod(write(self.LEAKY))
        with k.expect("leak-at-remove", count=1) as leaks, k.expect("registration-left", count=1) as registrations:
            k.rmmod(module)
        assert leaks[0].where.function == "init_module"
        assert registrations[0].lines == ('misc device "left" is still registered after rmmod drv',)
        assert registrations[0].hint == 'call misc_deregister() for misc device "left" on this way out too'

    def test_the_end_of_the_machine_unloads(self, write):
        with kmock.boot() as k:
            k.insmod(write(self.LEAKY))
            k.shutdown()
        assert {r.kind for r in k.reports} == {"leak-at-remove", "registration-left"}

    def test_of_others_nothing_is_said(self, k, write):
        from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

        module = k.insmod(write(PLAIN))
        mine = kmalloc(8, GFP_KERNEL)
        k.rmmod(module)
        kfree(mine)

    def test_without_exit_it_stays(self, k, write):
        module = k.insmod(write("def init_module():\n    return 0\n"))
        with pytest.raises(OSError, match="busy"):
            k.rmmod(module)

    def test_twice(self, k, write):
        module = k.insmod(write(PLAIN))
        k.rmmod(module)
        with pytest.raises(FileNotFoundError):
            k.rmmod(module)


class TestReferences:
    OPENS = """
        from kmock.linux.miscdevice import *
        from kmock.linux.fs import *
        from kmock.linux.module import *
        MODULE_LICENSE("GPL")

        def count():
            return module_refcount(THIS_MODULE)

        def hold():
            return try_module_get(THIS_MODULE)

        def drop():
            module_put(THIS_MODULE)

        misc = miscdevice(name="held", fops=file_operations(owner=THIS_MODULE))
        module_init(lambda: misc_register(misc))
        module_exit(lambda: misc_deregister(misc))
    """

    def test_busy_while_open(self, k, write):
        module = k.insmod(write(self.OPENS))
        p = k.user()
        fd = p.open("/dev/held")
        assert module.count() == 1
        with pytest.raises(OSError, match="busy"):
            k.rmmod(module)
        p.close(fd)
        assert module.count() == 0
        k.rmmod(module)

    def test_paired(self, k, write):
        module = k.insmod(write(self.OPENS))
        assert module.hold()
        module.drop()
        k.rmmod(module)
        assert not module.hold()

    def test_never_put(self, k, write):
        module = k.insmod(write(self.OPENS))
        module.hold()
        with k.expect("module-ref-imbalance") as found, pytest.raises(OSError, match="busy"):
            k.rmmod(module)
        assert found[0].where.function == "hold"

    def test_put_too_often(self, k, write):
        module = k.insmod(write(self.OPENS))
        with k.expect("module-ref-imbalance") as found:
            module.drop()
        assert "kernel/module/main.c:857 module_put" in found[0].headline


class TestSwallowedErrors:
    SOURCE = """
        from kmock.linux.fs import *
        from kmock.linux.module import *
        MODULE_LICENSE("GPL")
        taken = 0
        def start():
            global taken
            register_chrdev_region(MKDEV(10, 0), 1, "drv")
            {retry}
        def stop():
            if taken:
                unregister_chrdev_region(taken, 1)
        module_init(start)
        module_exit(stop)
    """

    def test_success_without_what_was_needed(self, k, write):
        with k.expect("error-swallowed") as found:
            k.insmod(write(self.SOURCE.format(retry="return 0")))
        assert "registering device numbers failed with -16" in found[0].lines[0]

    def test_a_second_way_that_works(self, k, write):
        k.insmod(write(self.SOURCE.format(retry="err, taken = alloc_chrdev_region(0, 1, 'drv')")))

    def test_an_exception_in_init_unloads(self, k, write):
        with pytest.raises(ZeroDivisionError):
            k.insmod(write("def init_module():\n    1 / 0\ndef cleanup_module():\n    raise AssertionError\n"))
        assert k.modules.find("drv") is None
