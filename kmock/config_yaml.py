"""Values from a file, each with the place it was written.

A configuration mistake is worth little without its line. ``yaml.safe_load`` throws lines and columns away, so
`read` walks the tree that ``yaml.compose`` builds and keeps, beside the plain Python values, a `Source`: the
answer to "where was this key written, where its value, and in what words".
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from kmock.config_values import ConfigError, Mark, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read"]


def read(path: str | os.PathLike[str]) -> tuple[object, Source]:
    """Read one YAML file: its value (None when it is empty) and where each part of it stands."""
    import yaml  # noqa: PLC0415 - costs 15 ms; most machines are described in Python

    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as stream:
            root = yaml.compose(stream, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{name}: is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ConfigError(f"{place}: is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: is not YAML: {str(error).splitlines()[0]}") from None
    marks: dict[str, Mark] = {}
    value = None if root is None else _Walker(name, marks).value(root, "", f"{name}:1:1")
    return value, Source(name, marks)


# YAML 1.1 reads 010 as 8 and 1:30 as 90. Only what a kernel developer means by a number is one here.
_INTEGER = re.compile(r"[-+]?(0x[0-9a-fA-F]+(_[0-9a-fA-F]+)*|0|[1-9][0-9]*(_[0-9]+)*)\Z")
_WORDS: Mapping[str, bool] = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class _Walker:
    """Turns YAML nodes (whose kinds the stubs do not tell apart) into plain values, and notes each one's mark."""

    def __init__(self, name: str, marks: dict[str, Mark]) -> None:
        self._name = name
        self._marks = marks
        self._open: set[int] = set()  # nodes being walked: an alias back to one of them would never end

    def value(self, node: Any, path: str, key_place: str) -> object:
        place = self._place(node)
        is_scalar = node.id == "scalar"
        self._marks[path] = Mark(key_place, place, node.value if is_scalar else None)
        if is_scalar:
            return self._scalar(node, place)
        if id(node) in self._open:
            raise ConfigError(f"{place}: is an alias of something that contains it")
        self._open.add(id(node))
        result = self._mapping(node, path) if node.id == "mapping" else self._sequence(node, path)
        self._open.discard(id(node))
        return result

    def _mapping(self, node: Any, path: str) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if key_node.id != "scalar":
                raise ConfigError(f"{place}: a key must be a word")
            key = str(key_node.value)
            inner = f"{path}.{key}" if path else key
            if key in result:
                raise ConfigError(f"{place}: duplicate key {inner!r}: first given at {self._marks[inner].key}")
            result[key] = self.value(value_node, inner, place)
        return result

    def _sequence(self, node: Any, path: str) -> list[object]:
        return [self.value(item, f"{path}[{n}]", self._place(item)) for n, item in enumerate(node.value)]

    def _scalar(self, node: Any, place: str) -> object:
        text = str(node.value)
        match str(node.tag).rpartition(":")[2]:
            case "null":
                return None
            case "bool" if text.lower() in _WORDS:
                return _WORDS[text.lower()]
            case "int" | "float" if _INTEGER.match(text):
                return int(text, 0)
            case "int" | "float" if re.fullmatch(r"[-+]?\d+\.\d*", text):
                return float(text)
            case "str" | "int" | "float" | "timestamp" | "value" | "merge":
                return text
        raise ConfigError(f"{place}: {node.tag} is not a kind of value that a machine has")

    def _place(self, node: Any) -> str:
        return f"{self._name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
