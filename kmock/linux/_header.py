"""What every header module does with a name that it doesn't define.

``__getattr__ = header_getattr(__name__)`` at a header's end gives it

- the plain spelling of names with leading underscores: ``GFP_ZERO`` for ``__GFP_ZERO``;
- the names as a class body mangles them: ``gfp._Driver__GFP_ZERO``;
- an error that says so for a name that the C header has and kmock does not offer yet;
- the nearest name for one that nobody has.
"""

from __future__ import annotations

import dis
import re
import sys
from typing import TYPE_CHECKING, Any

from kmock.errors import NotBuiltError
from kmock.linux._not_built import known

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]
_MANGLED = re.compile(r"_[^_]\w*?(?=__)")


def header_getattr(module_name: str, not_built: Collection[str] = ()) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of the header module ``module_name``.

    ``not_built`` are names of the C header that kmock knows and does not offer yet.
    """

    def __getattr__(name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        names = vars(sys.modules[module_name])
        if name in not_built or known(module_name, name):
            raise NotBuiltError(f"{name} of {header_name(module_name)} is not built yet in kmock")
        for spelling in spellings(name):
            if spelling in names:
                return names[spelling]
        frame = sys._getframe(1)
        # An AttributeError would lose its text on the way out of `from ... import`.
        importing = frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM
        raise (ImportError if importing else AttributeError)(unknown_name(name, module_name, names))

    return __getattr__


def spellings(name: str) -> list[str]:
    """Return what ``name`` may stand for: un-mangled, or with the underscores that it lacks."""
    found = [name[at.end() :] for at in [_MANGLED.match(name)] if at]
    return found if name.startswith("_") else [f"__{name}", f"_{name}"]


def header_name(module_name: str) -> str:
    """Return the C header that the module stands for: ``<linux/dma_mapping.h>``."""
    return f"<{module_name.removeprefix('kmock.').replace('.', '/')}.h>"


def unknown_name(name: str, module_name: str, names: Collection[str]) -> str:
    """One sentence for a name that the header doesn't have, with the nearest that it has."""
    import difflib  # noqa: PLC0415 -- only for the sake of a mistake

    near = difflib.get_close_matches(name, [n for n in names if not n.startswith("_")] or names, n=1)
    advice = f": did you mean {near[0]}?" if near else ""
    return f"{header_name(module_name)} has no {name}{advice}"
