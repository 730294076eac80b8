"""How memory and CPUs lie on the nodes of a machine.

A user says as much as matters (`NodeConfig`); `lay_out` settles the rest and yields one `Node` for each, or the sentence
that says why it cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import fields, force_setattr

from kmock.config_values import PAGE_SIZE, SIZE, ConfigError, Source, check, check_fields, show_size

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LayoutError", "Node", "NodeConfig", "Range", "cpus_of", "lay_out", "memory_of", "node_list"]

FOUR_GIB: Final = 1 << 32
# NODE_MIN_SIZE, arch/x86/include/asm/numa.h: "Too small nodes confuse the VM badly."
MIN_MEMORY: Final = 4 << 20
# MAX_NUMNODES for NODES_SHIFT = 10, the most that arch/x86/Kconfig offers
MAX_NODES: Final = 1024

Bytes = Annotated[int, Meta(ge=0, le=64 << 40, multiple_of=PAGE_SIZE, extra=SIZE)]
CpuNumber = Annotated[int, Meta(ge=0, le=8191)]
Range = tuple[int, int]


class NodeConfig(Struct, frozen=True, kw_only=True):
    """One node as a user describes it; what is left out is settled by the machine.

    Sizes and addresses may be strings ("512M", "0x100000"). ``memory`` may be 0: a node of CPUs alone.
    """

    memory: Bytes | None = None
    """Its RAM. Needed, unless ``ranges`` tell it."""
    cpus: int | tuple[int, ...] | None = None
    """How many CPUs it has (the lowest numbers that nobody names), or which. None: a fair share of those left over."""
    ranges: tuple[Range, ...] = ()
    """Where its RAM lies, as [start, end) physical addresses. Empty: after the node before."""

    def __post_init__(self) -> None:
        said = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) not in (None, ())}
        for name, value in check_fields(_RULES, said, Source("NodeConfig()"), "", _SPECIAL).items():
            force_setattr(self, name, value)


class Node(NamedTuple):
    """One node, settled."""

    memory: int
    cpus: tuple[int, ...]
    ranges: tuple[Range, ...]


class LayoutError(Exception):
    """Two values contradict each other; `key` is the path of the one to blame."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


# --- what a user said --------------------------------------------------------------------------------------------------


def node_list(path: str, value: object, source: Source) -> int | tuple[NodeConfig, ...]:
    """Return `value` as what ``nodes`` may be: how many, or each of them."""
    if not isinstance(value, list | tuple):
        count: int = check(Annotated[int, Meta(ge=1, le=MAX_NODES)], path, value, source)
        return count
    if not 1 <= len(value) <= MAX_NODES:
        raise ConfigError(f"{source.of_value(path)}: {path}: a list of {len(value)} nodes: expected 1 to {MAX_NODES}")
    return tuple(_node(f"{path}[{n}]", item, source) for n, item in enumerate(value))


def _node(path: str, value: object, source: Source) -> NodeConfig:
    if isinstance(value, NodeConfig):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{source.of_value(path)}: {path}: {value!r} is not a node: expected memory, cpus, ranges")
    said: dict[str, Any] = check_fields(_RULES, value, source, f"{path}.", _SPECIAL)
    return NodeConfig(**said)


def _cpus(path: str, value: object, source: Source) -> int | tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple | range):
        return tuple(check(CpuNumber, f"{path}[{n}]", cpu, source) for n, cpu in enumerate(value))
    count: int = check(Annotated[int, Meta(ge=0, le=8192)], path, value, source)
    return count


def _ranges(path: str, value: object, source: Source) -> tuple[Range, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{source.of_value(path)}: {path}: {value!r} is not a list of [start, end) pairs")
    return tuple(_range(f"{path}[{n}]", item, source) for n, item in enumerate(value))


def _range(path: str, value: object, source: Source) -> Range:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ConfigError(f"{source.of_value(path)}: {path}: {value!r} is not a pair [start, end)")
    start, end = (check(Bytes, f"{path}[{n}]", item, source) for n, item in enumerate(value))
    if start >= end:
        raise ConfigError(f"{source.of_value(path)}: {path}: ends at {end:#x}: expected an end above {start:#x}")
    return start, end


_RULES: Final = {field.name: field.type for field in fields(NodeConfig)}
_SPECIAL: Final = {"cpus": _cpus, "ranges": _ranges}


# --- what follows from it ----------------------------------------------------------------------------------------------


def memory_of(nodes: Iterable[NodeConfig]) -> int:
    """Return the RAM that `nodes` name."""
    return sum(_size(node) for node in nodes)


def cpus_of(nodes: Iterable[NodeConfig]) -> int | None:
    """Return how many CPUs `nodes` name, or None when one of them leaves it to the machine."""
    counts = [node.cpus if node.cpus is None or isinstance(node.cpus, int) else len(node.cpus) for node in nodes]
    return None if None in counts else sum(count or 0 for count in counts)


@lru_cache(maxsize=64)  # a suite boots few machines, many times
def lay_out(nodes: int | tuple[NodeConfig, ...], memory: int, cpus: int, low_top: int) -> tuple[Node, ...]:
    """Return every node with its memory, its CPUs, and where its RAM lies.

    RAM is laid from address 0 up, node by node. It leaves out `low_top`-4 GiB, where devices have their windows.
    """
    if isinstance(nodes, int):
        nodes = _even_split(nodes, memory)
    _check_memory(nodes, memory)
    owners = _share_cpus(nodes, cpus)
    ranges = _placed(nodes, low_top) if any(node.ranges for node in nodes) else _stacked(nodes, low_top)
    return tuple(Node(*parts) for parts in zip(map(_size, nodes), owners, ranges, strict=True))


def _size(node: NodeConfig) -> int:
    return sum(end - start for start, end in node.ranges) if node.memory is None else node.memory


def _even_split(count: int, memory: int) -> tuple[NodeConfig, ...]:
    share = memory // count // MIN_MEMORY * MIN_MEMORY  # whole pageblocks: no buddy straddles two nodes
    if not share:
        limit = memory // MIN_MEMORY
        raise LayoutError("nodes", f"{show_size(memory)} gives {count} nodes less than 4M each: expected 1 to {limit}")
    sizes = [share] * (count - 1) + [memory - share * (count - 1)]
    return tuple(NodeConfig(memory=size) for size in sizes)


def _check_memory(nodes: tuple[NodeConfig, ...], memory: int) -> None:
    for n, node in enumerate(nodes):
        size = _size(node)
        in_ranges = sum(end - start for start, end in node.ranges)
        if node.memory is None and not node.ranges:
            raise LayoutError(f"nodes[{n}]", "says neither memory nor ranges: expected one of them")
        if node.ranges and size != in_ranges:
            problem = f"{show_size(size)} is not what its ranges add up to: expected {show_size(in_ranges)}"
            raise LayoutError(f"nodes[{n}].memory", problem)
        if 0 < size < MIN_MEMORY:
            raise LayoutError(f"nodes[{n}]", f"{show_size(size)} is too small a node: expected 0, or at least 4M")
    total = memory_of(nodes)
    if total != memory:
        problem = f"{show_size(memory)} is not what the nodes add up to: expected {show_size(total)}, or other nodes"
        raise LayoutError("memory", problem)


def _share_cpus(nodes: tuple[NodeConfig, ...], cpus: int) -> list[tuple[int, ...]]:
    """Give named CPUs to those who name them, then counts, then fair shares of what is left."""
    owned: list[list[int]] = [[] if isinstance(node.cpus, int | None) else list(node.cpus) for node in nodes]
    free = _unnamed(owned, cpus)
    for n, node in enumerate(nodes):
        if isinstance(node.cpus, int):
            if node.cpus > len(free):
                raise LayoutError(f"nodes[{n}].cpus", f"{node.cpus} is more than the {len(free)} CPUs that are left")
            owned[n], free = free[: node.cpus], free[node.cpus :]
    sharers = [n for n, node in enumerate(nodes) if node.cpus is None]
    if free and not sharers:
        raise LayoutError("cpus", f"{cpus} is more than the nodes name: expected {cpus - len(free)}, or other nodes")
    for rank, n in enumerate(sharers):
        low, high = (len(free) * edge // len(sharers) for edge in (rank, rank + 1))
        owned[n] = free[low:high]
    return [tuple(sorted(numbers)) for numbers in owned]


def _unnamed(owned: list[list[int]], cpus: int) -> list[int]:
    free = dict.fromkeys(range(cpus))
    for n, numbers in enumerate(owned):
        for i, cpu in enumerate(numbers):
            if cpu >= cpus:
                problem = f"{cpu} is not one of the {cpus} CPUs: expected 0 to {cpus - 1}"
                raise LayoutError(f"nodes[{n}].cpus[{i}]", problem)
            if cpu not in free:
                raise LayoutError(f"nodes[{n}].cpus[{i}]", f"CPU {cpu} is named twice")
            del free[cpu]
    return list(free)


def _stacked(nodes: tuple[NodeConfig, ...], low_top: int) -> list[tuple[Range, ...]]:
    """Lay the nodes one above the other, around the hole."""
    result: list[tuple[Range, ...]] = []
    at = 0
    for node in nodes:
        pieces: list[Range] = []
        left = _size(node)
        while left:
            if low_top <= at < FOUR_GIB:
                at = FOUR_GIB
            end = min(at + left, low_top) if at < low_top < FOUR_GIB else at + left
            pieces.append((at, end))
            left -= end - at
            at = end
        result.append(tuple(pieces))
    return result


def _placed(nodes: tuple[NodeConfig, ...], low_top: int) -> list[tuple[Range, ...]]:
    """Lay the nodes where they say, when no two of them want the same place, nor the devices'."""
    named = []
    for n, node in enumerate(nodes):
        if _size(node) and not node.ranges:
            raise LayoutError(f"nodes[{n}]", "says no ranges where another node does: expected ranges for all or none")
        named += [(start, end, f"nodes[{n}].ranges[{i}]") for i, (start, end) in enumerate(node.ranges)]
    named.sort()
    for (_, end, before), (start, _, path) in pairwise(named):
        if start < end:
            raise LayoutError(path, f"starts at {start:#x}, inside {before}: expected {end:#x} or above")
    for start, end, path in named:
        if start < FOUR_GIB and end > low_top:
            problem = f"[{start:#x}, {end:#x}) reaches into {low_top:#x}-4G, which is kept for device windows"
            raise LayoutError(path, problem)
    return [tuple(sorted(node.ranges)) for node in nodes]
