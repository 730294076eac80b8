"""What the words of a configuration may be, and the sentence for one that is not.

A value is checked against the type of its field, and the sentence is drawn from that same type: so what is accepted and
what a reader is told cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Checks what stands at a path where a type alone cannot: (path, value, source) -> clean value.
Checker = Callable[[str, object, "Source"], object]

__all__ = ["Checker", "ConfigError", "Mark", "Source", "check", "check_fields", "nearest", "parse_size", "show_size"]

PAGE_SIZE: Final = 4096
# Marks a field (msgspec's Meta.extra) as bytes, which may be written "64M" and must be whole pages.
SIZE: Final = {"unit": "bytes"}


class ConfigError(ValueError):
    """A machine was described wrongly. One sentence: place, key, value, and what would be right."""


class Mark(NamedTuple):
    """Where one entry of a file was written, and its value's own spelling (None for a list or a mapping)."""

    key: str
    value: str
    text: str | None


class Source:
    """Where a set of values came from: a call, a marker, or a file whose every line is known.

    Entries are addressed by path, as in ``nodes[1].memory``.
    """

    __slots__ = ("_marks", "where")

    def __init__(self, where: str, marks: Mapping[str, Mark] | None = None) -> None:
        """Without marks, every value is said to come from `where`."""
        self.where = where
        self._marks: Mapping[str, Mark] = marks if marks is not None else {}

    def of_key(self, path: str) -> str:
        """Return the place of the key at `path`."""
        mark = self._marks.get(path)
        return mark.key if mark else self.where

    def of_value(self, path: str) -> str:
        """Return the place of the value at `path`."""
        mark = self._marks.get(path)
        return mark.value if mark else self.where

    def text(self, path: str) -> str | None:
        """Return the value at `path` as it was spelt, so that version 3.10 is not read as the number 3.1."""
        mark = self._marks.get(path)
        return mark.text if mark else None


# --- sizes -------------------------------------------------------------------------------------------------------------

_UNITS: Final = "KMGT"
# As the kernel's memparse() (lib/cmdline.c), which also takes 0x and any case; "iB" and "B" are for human eyes.
_SIZE = re.compile(r"(0x[0-9a-f]+|[0-9]+)\s*(?:([kmgt])i?)?b?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes that `text` names: ``"64M"``, ``"1G"``, ``"512K"``, ``"64MiB"``, ``"0x1000"``, ``"4096"``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a size such as '64M', '1G', '512K' or '64MiB'")
    number, unit = match.groups()
    digits = int(number, 16 if number[:2].lower() == "0x" else 10)
    return digits << 10 * (_UNITS.index(unit.upper()) + 1) if unit else digits


def show_size(size: int) -> str:
    """Return `size` in the largest unit that divides it: 67108864 is ``"64M"``."""
    power = 0
    while size and size % 1024 == 0 and power < len(_UNITS):
        size //= 1024
        power += 1
    return f"{size}{_UNITS[power - 1]}" if power else str(size)


# --- checks ------------------------------------------------------------------------------------------------------------


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return what to suggest for `word`: the choice that looks like it, or all of them."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    known = list(choices)
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"


def check_fields(
    rules: Mapping[str, object],
    said: Mapping[Any, object],
    source: Source,
    prefix: str = "",
    special: Mapping[str, Checker] | None = None,
) -> dict[str, object]:
    """Return `said` with every value checked, in order: against its type in `rules`, or by its `special` checker."""
    clean: dict[str, object] = {}
    for key, value in said.items():
        path = f"{prefix}{key}"
        if key not in rules:
            raise ConfigError(f"{source.of_key(path)}: unknown key {path!r}: {nearest(str(key), rules)}")
        own_check = special.get(key) if special else None
        clean[key] = own_check(path, value, source) if own_check else check(rules[key], path, value, source)
    return clean


def check(kind: object, path: str, value: object, source: Source) -> Any:
    """Return `value` as `kind`, or raise the sentence that says what it should have been."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        info = inspect.type_info(kind)
    try:
        return msgspec.convert(_reread(info, path, value, source), kind)
    except (msgspec.ValidationError, ConfigError):
        # An empty value in a file has an empty spelling, and shows as None.
        shown = repr(value) if isinstance(value, str) else source.text(path) or _show(value)
        raise ConfigError(f"{source.of_value(path)}: {path}: {shown} is not {_expected(info, value)}") from None


def _reread(info: inspect.Type, path: str, value: object, source: Source) -> object:
    """Return `value` as its field may also be written: a size as text, a text as what YAML took for a number."""
    if isinstance(value, str) and _is_size(info):
        return parse_size(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Without a spelling (a Python float: 3.10 is 3.1 there) the number is returned, and refused.
        return source.text(path) or value
    return value


def _is_size(info: inspect.Type) -> bool:
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    return any(isinstance(kind, inspect.Metadata) and kind.extra == SIZE for kind in kinds)


def _show(value: object) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def _expected(info: inspect.Type, value: object) -> str:
    """Say in words what a value of this type may be, and which of them `value` may have meant."""
    match info:
        case inspect.UnionType(types=kinds):
            return _expected(kinds[0], value)  # fields are "something | None": say the something
        case inspect.Metadata(type=inspect.IntType(ge=low, le=high)):
            return f"a size {_range(low, high, show_size)} in whole pages of 4K, such as '64M'"
        case inspect.IntType(ge=low, le=high) if low == high:
            return str(low)
        case inspect.IntType(ge=low, le=high):
            return f"a whole number {_range(low, high, str)}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            known = ", ".join(map(str, values))
            hint = nearest(str(value), map(str, values))
            return f"one of {known}" + (f": {hint}" if hint.startswith("did") else "")
        case inspect.StrType(pattern=str()):
            return "a string of dotted numbers, such as '6.1' or '2.6.10'"
    return "a string"


def _range(low: int | None, high: int | None, show: Callable[[int], str]) -> str:
    return f"from {show(low or 0)}" + (f" to {show(high)}" if high is not None else "")
