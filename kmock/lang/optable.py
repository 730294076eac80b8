"""Tables of operations, as a driver fills them in: ``file_operations(open=..., read=...)``.

C's designated initialisers become keywords. A field that the structure doesn't have is a mistake that
the C compiler would have refused, so it is refused here as well, with the nearest name.
"""

from __future__ import annotations

import difflib
from typing import Any, ClassVar


class OpTable:
    """Base of the operation tables; a subclass names its fields. What is not given is None, C's NULL."""

    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **operations: Any) -> None:
        vars(self).update(dict.fromkeys(self.fields))
        for name, operation in operations.items():
            setattr(self, name, operation)

    def __setattr__(self, name: str, operation: Any) -> None:
        if name not in self.fields:
            near = difflib.get_close_matches(name, self.fields, n=1)
            advice = f": did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"struct {type(self).__name__} has no field {name!r}{advice}")
        vars(self)[name] = operation

    def __getattr__(self, name: str) -> Any:
        # Reached for what is no field only.
        raise AttributeError(f"struct {type(self).__name__} has no field {name!r}")

    def __repr__(self) -> str:
        given = (f"{name}={operation!r}" for name, operation in vars(self).items() if operation is not None)
        return f"{type(self).__name__}({', '.join(given)})"
