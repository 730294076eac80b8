"""Loadable modules (``kernel/module/main.c``, ``kernel/params.c``).

A driver is an ordinary Python module. :meth:`Modules.insmod` executes a fresh image of it, so that its
globals start as clean as ``.data`` does, sets its parameters and calls ``init_module``, the name that
``module_init()`` gives to the driver's function; :meth:`Modules.rmmod` calls ``cleanup_module``.
"""

from __future__ import annotations

import difflib
import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kmock.kernel.balance import check_initcall
from kmock.kernel.module_image import Image, load_image
from kmock.kernel.module_params import set_parameter
from kmock.sanitizers.module_life import ModuleLife

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

MODULE_STATE_LIVE = 0
MODULE_STATE_COMING = 1
MODULE_STATE_GOING = 2
STATE_NAMES = {MODULE_STATE_LIVE: "Live", MODULE_STATE_COMING: "Loading", MODULE_STATE_GOING: "Unloading"}


class Module:
    """``struct module``: one loaded module. The driver's globals are attributes too: ``module.scull_devices``.

    (What is called as one of the structure's own members is found in ``module.image.module``.)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = MODULE_STATE_COMING
        self.refcnt = 0
        """References that open files and ``try_module_get()`` hold."""
        self.taken: list[Stack] = []
        """Where drivers took references that they have not put."""
        self.image: Image

    def __getattr__(self, name: str) -> Any:
        image: Image | None = vars(self).get("image")
        if image is not None and hasattr(image.module, name):
            return getattr(image.module, name)
        raise AttributeError(f"module {self.name} has no {name!r}")

    def __repr__(self) -> str:
        return f"<module {self.name}>"


class Modules:
    """The modules of one machine, in the order in which they were loaded."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.loaded: dict[str, Module] = {}
        self.loading: Module | None = None
        self.life = ModuleLife(kernel)
        self._tainted = False
        self._refused: dict[str, tuple[int, Stack] | None] = {}
        """Registrations that the running init tried, by what they are for: the failure, None if one worked."""

    # -- insmod, rmmod ----------------------------------------------------------------------------

    def insmod(self, name_or_path: str | Path, params: Mapping[str, object]) -> Module:
        """Load a module and run its init; OSError with its errno if that fails."""
        module = Module(module_name(name_or_path))
        if module.name in self.loaded:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), module.name)
        before, self.loading = self.loading, module
        try:
            module.image = load_image(name_or_path, module, [m.image for m in self.loaded.values()])
            self._taint(module)
            self._set_params(module, params)
            self.loaded[module.name] = module
            self._init(module, params)
        finally:
            self.loading = before
        return module

    def rmmod(self, module: Module) -> None:
        """Run a module's exit, then report what it left; OSError EBUSY while it is in use."""
        if self.loaded.get(module.name) is not module:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), module.name)
        cleanup = module.image.cleanup
        self.kernel.leftovers.references(module)
        if module.refcnt or not module.image.removable:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), module.name)
        module.state = MODULE_STATE_GOING
        try:
            if cleanup is not None:
                with self.life.going(module):
                    self._initcall(module, cleanup)
        finally:
            del self.loaded[module.name]
        self.kernel.leftovers.of_module(module, "leak-at-remove", f"rmmod {module.name}")

    def unload_if_idle(self, module: Module) -> None:
        """Unload a module unless it is in use; if nobody uses it and it can't go all the same, that is reported."""
        self.kernel.leftovers.references(module)
        if not module.refcnt and module.image.removable:
            self.rmmod(module)

    def made(self, a: Allocation) -> bool:
        """Whether a loaded module's code made that allocation."""
        return any(module.image.owns(a.alloc_stack) for module in self.loaded.values())

    def find(self, name: str) -> Module | None:
        """``find_module()``."""
        return self.loaded.get(name)

    def _init(self, module: Module, params: Mapping[str, object]) -> None:
        init = module.image.init
        injected = self.kernel.faults.active
        self._refused.clear()
        try:
            result = self._initcall(module, init) if init is not None else 0
        except BaseException:
            del self.loaded[module.name]
            raise
        self.life.came(module, params, result, injected=injected)
        if result < 0:
            del self.loaded[module.name]
            self.kernel.leftovers.of_module(module, "leak-on-error-path", "its init failed")
            raise OSError(-result, os.strerror(-result), module.name)
        self._look_for_swallowed(module)
        if result > 0:
            self.kernel.log.write(
                f"do_init_module: '{module.name}'->init suspiciously returned {result}, "
                "it should follow 0/-E convention"
            )
            self.kernel.log.write("do_init_module: loading module anyway...")
        module.state = MODULE_STATE_LIVE

    def outcome(self, what: str, result: int) -> int:
        """Note how a registration went without which a driver is of no use; return its ``result``."""
        if self.loading is not None and self._refused.get(what, True):
            self._refused[what] = (result, self.kernel.capture()) if result < 0 else None
        return result

    @contextmanager
    def probing(self) -> Iterator[None]:
        """A driver's probe runs in this block: how its registrations go is for the driver core to hear, not the init."""
        before, self.loading = self.loading, None
        try:
            yield
        finally:
            self.loading = before

    def _look_for_swallowed(self, module: Module) -> None:
        k = self.kernel
        for what, refused in self._refused.items():
            if refused is not None:
                error, stack = refused
                k.report(
                    "error-swallowed",
                    f"BUG: kmock: error-swallowed in {k.symbol(stack)}",
                    lines=[f"registering {what} failed with {error}, and the init of {module.name} returned success"],
                    stacks={"access": stack},
                )

    def _initcall(self, module: Module, function: Callable[[], int | None]) -> int:
        result = function() or 0
        check_initcall(self.kernel, f"{function.__name__}+0x0/0x0 [{module.name}]")
        return result

    def _taint(self, module: Module) -> None:
        k = self.kernel
        if not self._tainted:
            k.log.write(f"{module.name}: loading out-of-tree module taints kernel.")
            self._tainted = True
        licence = module.image.modinfo.get("license", "unspecified")
        if licence not in FREE_LICENCES:
            k.log.write(f"{module.name}: module license '{licence}' taints kernel.")
            k.taints.add("P")

    def _set_params(self, module: Module, params: Mapping[str, object]) -> None:
        known = module.image.params
        for name, value in params.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                advice = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"
                raise TypeError(f"module {module.name} has no parameter {name!r}: {advice}")
            set_parameter(self.kernel.log, module.name, module.image, known[name], value)

    # -- references -------------------------------------------------------------------------------

    def try_get(self, module: Module | None) -> bool:
        """``try_module_get()``: take a reference unless the module is on its way out."""
        if module is None:
            return True
        if module.state == MODULE_STATE_GOING:
            return False
        module.refcnt += 1
        return True

    def put(self, module: Module | None) -> None:
        """``module_put()``."""
        if module is None:
            return
        if module.refcnt == 0:
            self.kernel.warn("module-ref-imbalance", "kernel/module/main.c:857", "module_put", key=module)
            return
        module.refcnt -= 1


FREE_LICENCES = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
)


def module_name(name_or_path: str | Path) -> str:
    """Return the kernel's name of a module: ``drivers/scull-c.py`` and ``drivers.scull_c`` are ``scull_c``."""
    text = str(name_or_path)
    if os.sep in text or text.endswith(".py"):
        text = os.path.basename(text).removesuffix(".py")
    return text.rpartition(".")[2].replace("-", "_")
