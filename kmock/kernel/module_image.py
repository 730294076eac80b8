"""A module's image: its Python module, executed afresh (what ``kernel/module/main.c`` does with an ELF file).

What a driver imports from its own folder is linked into its image, as the objects of one ``.ko`` are, and so
is executed afresh too; except what is itself a loaded module, whose exported symbols it then shares.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    from kmock.kernel.module import Module
    from kmock.kernel.module_params import Parameter
    from kmock.stack import Stack


class Image:
    """One executed copy of a driver's Python module, with what it declared about itself."""

    __slots__ = ("_codes", "_ids", "module")

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self._codes: list[CodeType] = []
        self._ids: set[int] = set()
        """``id()`` of its code objects: another image of the same file has others, that are equal."""

    def link(self, code: CodeType) -> None:
        """Note that ``code``, with all that is nested in it, is part of the image."""
        self._codes.append(code)
        self._ids.update(map(id, nested(code)))

    def owns(self, stack: Stack) -> bool:
        """Whether a stack goes through its code."""
        ids = self._ids
        return any(id(code) in ids for code in stack[::2])

    @property
    def init(self) -> Callable[[], int | None] | None:
        """``init_module``."""
        found: Callable[[], int | None] | None = vars(self.module).get("init_module")
        return found

    @property
    def cleanup(self) -> Callable[[], int | None] | None:
        """``cleanup_module``."""
        found: Callable[[], int | None] | None = vars(self.module).get("cleanup_module")
        return found

    @property
    def removable(self) -> bool:
        """A module that has an init must have an exit to be unloaded."""
        return self.init is None or self.cleanup is not None

    @property
    def params(self) -> dict[str, Parameter]:
        """Its parameters by name, from ``module_param()``."""
        found: dict[str, Parameter] = vars(self.module).get("__param__", {})
        return found

    @property
    def modinfo(self) -> dict[str, str]:
        """What ``MODULE_LICENSE()`` and its like said."""
        found: dict[str, str] = vars(self.module).get("__modinfo__", {})
        return found


def nested(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those of the functions and classes in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from nested(const)


def load_image(name_or_path: str | Path, owner: Module, loaded: Iterable[Image]) -> Image:
    """Execute a fresh copy of a module; ModuleNotFoundError if there is none of that name or path."""
    spec = find(name_or_path)
    module = importlib.util.module_from_spec(spec)
    vars(module)["__this_module__"] = owner
    image = Image(module)
    with _Linking(image, str(spec.origin), loaded):
        _Loader(spec.name, str(spec.origin), image).exec_module(module)
    return image


def find(name_or_path: str | Path) -> ModuleSpec:
    """Return the import machinery's description of a module, by dotted name or by path."""
    text = str(name_or_path)
    importlib.invalidate_caches()  # the file may be a second old
    if os.sep in text or text.endswith(".py"):
        path = os.path.abspath(text)
        if not os.path.exists(path):
            raise ModuleNotFoundError(f"no module at {path}")
        name, package = dotted(path)
        if package:
            importlib.import_module(package)
        spec = importlib.util.spec_from_file_location(name, path)
    else:
        spec = importlib.util.find_spec(text)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {text!r}: insmod() takes a dotted name or the path of a .py file")
    return spec


def dotted(path: str) -> tuple[str, str]:
    """Return the dotted name of the module at ``path`` and that of its package, by the ``__init__.py`` around it."""
    folder, file = os.path.split(path)
    parts = [file.removesuffix(".py")]
    root = folder
    while os.path.exists(os.path.join(root, "__init__.py")):
        root, name = os.path.split(root)
        parts.insert(0, name)
    name = ".".join(parts)
    known = len(parts) > 1 and _importable(parts[0], root)
    return (name, ".".join(parts[:-1])) if known else (parts[-1], "")


def _importable(package: str, root: str) -> bool:
    found = sys.modules.get(package)
    origin = getattr(found, "__file__", None) if found else getattr(importlib.util.find_spec(package), "origin", None)
    return origin is not None and os.path.dirname(os.path.dirname(origin)) == root


class _Loader(SourceFileLoader):
    """Executes a source file as part of an image."""

    def __init__(self, fullname: str, path: str, image: Image) -> None:
        super().__init__(fullname, path)
        self.image = image

    def exec_module(self, module: ModuleType) -> None:
        code = self.get_code(module.__name__)
        assert code is not None
        self.image.link(code)
        exec(code, vars(module))  # noqa: S102 -- what importing a module is


class _Linking:
    """While it is open, imports from the driver's folder execute afresh, or find a loaded module's image."""

    def __init__(self, image: Image, origin: str, loaded: Iterable[Image]) -> None:
        self.image = image
        self.folder = os.path.dirname(origin)
        self.path_entry = [] if image.module.__package__ else [self.folder]
        self.exported = {i.module.__name__: i.module for i in loaded if self._is_neighbour(i.module)}
        self.saved: dict[str, ModuleType] = {}

    def __enter__(self) -> Self:
        self.saved = dict(self._neighbours())
        for name in self.saved:
            _unbind(name)
        for name, module in self.exported.items():
            _bind(name, module)
        sys.modules[self.image.module.__name__] = self.image.module
        sys.path[:0] = self.path_entry
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.meta_path.remove(self)
        for entry in self.path_entry:
            sys.path.remove(entry)
        for name, _ in list(self._neighbours()):
            _unbind(name)
        sys.modules.pop(self.image.module.__name__, None)
        for name, module in self.saved.items():
            _bind(name, module)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Part of the import machinery: have the driver's neighbours linked, and leave others alone."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or not self._is_here(spec.origin):
            return None
        spec.loader = _Loader(name, spec.origin, self.image)
        return spec

    def _neighbours(self) -> Iterator[tuple[str, ModuleType]]:
        return ((name, module) for name, module in list(sys.modules.items()) if self._is_neighbour(module))

    def _is_neighbour(self, module: Any) -> bool:
        file = getattr(module, "__file__", None)
        return isinstance(file, str) and self._is_here(file) and module.__name__ != "__main__"

    def _is_here(self, file: str) -> bool:
        folder = self.folder
        return (
            file.startswith(folder)
            and os.path.dirname(file) == folder
            and file.endswith(".py")
            and not file.endswith("__init__.py")
        )


def _bind(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    package, _, leaf = name.rpartition(".")
    if package in sys.modules:
        setattr(sys.modules[package], leaf, module)


def _unbind(name: str) -> None:
    del sys.modules[name]
    package, _, leaf = name.rpartition(".")
    if package in sys.modules:
        vars(sys.modules[package]).pop(leaf, None)
