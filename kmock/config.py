"""What machine to boot.

`KernelConfig` holds every choice, each with a default, so that ``kmock.boot()`` needs none. A configuration is made of
layers: a machine (a preset, or a YAML file), what a test suite wants, what one test wants; the later layer wins.

Every mistake raises `ConfigError` with one sentence that says where it was written, which key and value it is about,
and what would be right. Single values are judged first, in the order they were written; then how they go together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from msgspec import Meta, Struct
from msgspec.structs import fields, force_setattr

from kmock.config_nodes import LayoutError, Node, NodeConfig, Range, cpus_of, lay_out, memory_of, node_list
from kmock.config_values import SIZE, Checker, ConfigError, Source, check, check_fields, nearest, parse_size, show_size
from kmock.config_yaml import read

__all__ = ["ConfigError", "KernelConfig", "Node", "NodeConfig", "parse_size", "preset_names", "show_size"]

# How far each architecture's page tables reach: 46 bits of direct map, 36 bits of PAE (arch/x86, sparsemem.h).
_MEMORY_END: Final = {"x86_64": 64 << 40, "x86_32": 64 << 30}
# NR_CPUS_RANGE_END, arch/x86/Kconfig
_MAX_CPUS: Final = {"x86_64": 8192, "x86_32": 64}
_PRESETS: Final = Path(__file__).parent / "presets"


class _Unsaid(int):
    """A default that knows it is one: a list of nodes may say otherwise without contradicting it."""


class KernelConfig(Struct, frozen=True, kw_only=True, dict=True):
    """One machine to boot: what it is made of, and what watches over it. Sizes may be strings, such as "64M"."""

    arch: Literal["x86_64", "x86_32"] = "x86_64"
    """The address-space layout; ``x86_32`` has high memory."""
    cpus: Annotated[int, Meta(ge=1, le=8192)] = _Unsaid(2)
    """How many CPUs there are, numbered from 0."""
    memory: Annotated[int, Meta(ge=4 << 20, le=64 << 40, multiple_of=4096, extra=SIZE)] = _Unsaid(64 << 20)
    """All RAM."""
    nodes: int | tuple[NodeConfig, ...] = 1
    """How many NUMA nodes share memory and CPUs evenly; or a list that says what each has."""
    distances: tuple[tuple[int, ...], ...] | None = None
    """The SLIT: ``distances[i][j]`` is how far node j's memory is from node i. None: 10 at home, 20 elsewhere."""
    movable: Annotated[int, Meta(ge=0, le=64 << 40, multiple_of=4096, extra=SIZE)] = 0
    """RAM kept for ZONE_MOVABLE (``movablecore=``)."""
    low_memory_top: Annotated[int, Meta(ge=4 << 20, le=4 << 30, multiple_of=4096, extra=SIZE)] = 0xF000_0000
    """RAM is laid up to here, then from 4 GiB on; what lies between belongs to device windows."""

    preempt: bool = True
    """CONFIG_PREEMPT: kernel code can be preempted, and preempt_count counts."""
    version: Annotated[str, Meta(pattern=r"\A[0-9]+(\.[0-9]+){1,3}\Z")] | None = None
    """The kernel whose API the driver may use, such as "2.6.10" or "6.1". None: all of it, old and new."""
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 0
    """What every random choice is drawn from: the same seed gives the same run."""
    hz: Annotated[int, Meta(ge=12, le=12287)] = 250  # the bounds of include/linux/jiffies.h
    """Timer ticks in a second (CONFIG_HZ)."""
    cmdline: str = ""
    """The kernel's boot arguments, as in "slub_debug=FZPU init_on_alloc=1"; see `boot_arg`."""

    iommu: bool = False
    """Devices have addresses of their own, and reach only what is mapped for them."""
    dma_coherent: bool = True
    """The caches see what devices do to memory. Without that, what is not synced is stale."""

    kasan: bool = True
    """Out-of-bounds and use-after-free accesses, and bad frees."""
    kmemleak: bool = True
    """Memory that nothing points to any more."""
    lockdep: bool = True
    """Lock order, and locks taken in contexts where they can deadlock."""
    prove_raw_lock_nesting: bool = False
    """Spin locks inside raw spin locks, which PREEMPT_RT forbids (CONFIG_PROVE_RAW_LOCK_NESTING)."""
    atomic_sleep: bool = True
    """Sleeping where that is forbidden (CONFIG_DEBUG_ATOMIC_SLEEP)."""
    debug_vm: bool = True
    """VM_BUG_ON and its kin (CONFIG_DEBUG_VM)."""
    initmem: bool = True
    """Memory that nobody wrote, on its way to where it matters."""
    page_check: bool = True
    """State of pages when they are allocated, mapped and freed."""
    dma_debug: bool = True
    """Misuse of DMA mappings (CONFIG_DMA_API_DEBUG)."""
    usercopy: bool = True
    """Copies to and from user space that leave their object (CONFIG_HARDENED_USERCOPY)."""
    refcount: bool = True
    """refcount_t that saturates, or comes back from zero."""
    contracts: bool = True
    """The context in which each function may be called."""
    debug_shirq: bool = False
    """Call the handler of a shared interrupt when it is requested and when it is freed (CONFIG_DEBUG_SHIRQ)."""
    lint: bool = False
    """What is legal but doubtful."""
    uninit_loads: bool = False
    """Report the very load of a byte that was never written."""
    raise_reports: bool = False
    """Raise at the spot of a finding; the default is to run on, as the kernel does."""
    panic_on_warn: bool = False
    """Panic at the first warning (``panic_on_warn=1``)."""

    origin: str | None = None
    """The preset or file this came from, for people to read; only `make` sets it."""

    def __post_init__(self) -> None:
        said = {name: value for name, default in _DEFAULTS.items() if (value := getattr(self, name)) is not default}
        layer = _checked(said, Source("KernelConfig()"))
        layer.agree()
        unsaid = {name: int(_DEFAULTS[name]) for name in ("memory", "cpus")}
        for name, value in (unsaid | layer.values).items():
            force_setattr(self, name, value)

    # --- making one -------------------------------------------------------------------------------------------------

    @classmethod
    def make(
        cls,
        config: KernelConfig | Mapping[str, object] | str | os.PathLike[str] | None = None,
        *,
        where: str = "boot()",
        **overrides: object,
    ) -> Self:
        """Return the configuration that `config` and `overrides` describe; the overrides win.

        `config` may be another configuration (of which counts what is not the default), a mapping, the name of a
        preset, or the path of a YAML file. ``machine=`` names a preset or a file that all the rest is laid over. `where` is what mistakes are blamed on.
        A layer that changes ``nodes`` starts anew with ``distances``, and with what its list of nodes adds up to.
        """
        source = Source(where)
        layer = _checked(overrides, source)
        if isinstance(config, KernelConfig):
            said = {name: value for name, default in _DEFAULTS.items() if (value := getattr(config, name)) != default}
            layer = layer.over(_Layer(said, dict.fromkeys(said, source), config.origin))
        elif isinstance(config, Mapping):
            layer = layer.over(_checked(config, source))
        elif config is not None:
            layer = layer.over(_machine(os.fspath(config), source))
        layer = layer.grounded()
        layer.agree()
        return cls(**layer.values, origin=layer.origin)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Return the machine that the YAML file at `path` describes; an empty file is the default machine."""
        layer = _file(os.fspath(path), ()).grounded()
        layer.agree()
        return cls(**layer.values, origin=layer.origin)

    # --- asking it --------------------------------------------------------------------------------------------------

    @property
    def machine(self) -> str | None:
        """The preset or file that this configuration was made from."""
        return self.origin

    @cached_property
    def topology(self) -> tuple[Node, ...]:
        """Every node, settled: its memory, its CPUs, and where its RAM lies."""
        return lay_out(self.nodes, self.memory, self.cpus, self.low_memory_top)

    @cached_property
    def _homes(self) -> dict[int, int]:
        return {cpu: nid for nid, node in enumerate(self.topology) for cpu in node.cpus}

    def node_ranges(self) -> list[list[Range]]:
        """Return the physical [start, end) ranges of RAM of every node, lowest first."""
        return [list(node.ranges) for node in self.topology]

    def reported_ranges(self) -> tuple[tuple[Range, ...], ...]:
        """Return as much of `node_ranges` as the kernel is told of: `mem=` hides what lies above."""
        told = self.boot_arg("mem")
        limit = parse_size(told) if told else 1 << 64
        return tuple(
            tuple((start, min(end, limit)) for start, end in ranges if start < limit) for ranges in self.node_ranges()
        )

    def cpu_to_node(self, cpu: int) -> int:
        """Return the node that `cpu` belongs to."""
        return self._homes[cpu]

    def distance(self, from_node: int, to_node: int) -> int:
        """Return what node_distance() says of two nodes."""
        if self.distances is not None:
            return self.distances[from_node][to_node]
        return _LOCAL_DISTANCE if from_node == to_node else _REMOTE_DISTANCE

    def boot_arg(self, name: str) -> str | None:
        """Return what the command line says of `name`: None if nothing, "" for a bare word; the last one counts."""
        return self._boot_args.get(name.replace("-", "_"))

    @cached_property
    def _boot_args(self) -> dict[str, str]:
        # As next_arg() and parameq() do (lib/cmdline.c, kernel/params.c): quotes keep spaces together, - and _ are one.
        words = (word.replace('"', "").partition("=") for word in re.findall(r'(?:"[^"]*"?|[^\s"])+', self.cmdline))
        return {name.replace("-", "_"): value for name, _, value in words}


@lru_cache
def preset_names() -> tuple[str, ...]:
    """Return the names of the machines that come with kmock, sorted."""
    return tuple(sorted(path.stem for path in _PRESETS.glob("*.yaml")))


# --- layers ------------------------------------------------------------------------------------------------------------


class _Layer(NamedTuple):
    """Checked values, each with its source; ``machine`` among them is what the layer wants to lie on."""

    values: dict[str, Any]
    sources: dict[str, Source]
    origin: str | None = None

    def over(self, below: _Layer) -> _Layer:
        """Return this layer laid over `below`."""
        hidden = set(self.values)
        if "nodes" in hidden:
            hidden.add("distances")
            if isinstance(self.values["nodes"], tuple):
                hidden |= {"memory", "cpus"}
        kept = {key: value for key, value in below.values.items() if key not in hidden}
        sources = {**below.sources, **self.sources}
        return _Layer({**kept, **self.values}, sources, self.origin or below.origin)

    def grounded(self, directory: str = "", chain: tuple[str, ...] = ()) -> _Layer:
        """Return this layer laid over the machine that it names, if it names one."""
        machine = self.values.pop("machine", None)
        if machine is None:
            return self
        return self.over(_machine(machine, self.sources["machine"], directory, chain))

    def agree(self) -> None:
        """Raise the first contradiction between the values."""
        try:
            _agree({**_DEFAULTS, **self.values})
        except LayoutError as error:
            source = self.sources.get(re.split(r"[.[]", error.key)[0]) or next(iter(self.sources.values()))
            raise ConfigError(f"{source.of_value(error.key)}: {error.key}: {error}") from None


def _checked(said: Mapping[str, object], source: Source) -> _Layer:
    """Return `said` as a layer: every value judged alone, and what a list of nodes adds up to."""
    values: dict[str, Any] = check_fields(_RULES, said, source, "", _SPECIAL)
    nodes = values.get("nodes")
    if isinstance(nodes, tuple):
        values.setdefault("memory", memory_of(nodes))
        cpus = cpus_of(nodes)
        if cpus is not None:
            values.setdefault("cpus", cpus)
    return _Layer(values, dict.fromkeys(values, source))


def _machine(name: str, source: Source, directory: str = "", chain: tuple[str, ...] = ()) -> _Layer:
    """Return the layer that a preset's name or a file's path stands for; `chain` is the files that led here."""
    if name in preset_names():
        return _preset(name)._replace(origin=name)
    if not name.endswith((".yaml", ".yml")) and os.path.basename(name) == name:
        hint = nearest(name, preset_names())
        raise ConfigError(
            f"{source.of_value('machine')}: machine: {name!r} is neither a preset nor a .yaml file: {hint}"
        )
    path = os.path.join(directory, name)
    if not os.path.isfile(path):
        raise ConfigError(f"{source.of_value('machine')}: machine: there is no file {path!r}")
    return _file(path, chain)


@lru_cache
def _preset(name: str) -> _Layer:
    # Cached: a suite boots the same few machines a thousand times. Nobody writes to a layer but `grounded`, done here.
    return _file(str(_PRESETS / f"{name}.yaml"), ())


def _file(path: str, chain: tuple[str, ...]) -> _Layer:
    value, source = read(path)
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"{source.of_value('')}: is not a mapping of keys to values, as in 'cpus: 4'")
    here = os.path.realpath(path)
    layer = _checked(value or {}, source)
    if here in chain:
        raise ConfigError(f"{source.of_value('machine')}: machine: {path} is laid over itself")
    return layer.grounded(os.path.dirname(path), (*chain, here))._replace(origin=path)


# --- checks ------------------------------------------------------------------------------------------------------------

# LOCAL_DISTANCE and REMOTE_DISTANCE (include/linux/topology.h); a SLIT entry is a byte.
_LOCAL_DISTANCE: Final = 10
_REMOTE_DISTANCE: Final = 20


def _name_of(path: str, value: object, source: Source) -> str | None:
    if value is None:
        return None
    name: str = check(str, path, os.fspath(value) if isinstance(value, os.PathLike) else value, source)
    return name


def _distances(path: str, value: object, source: Source) -> tuple[tuple[int, ...], ...] | None:
    """Check a SLIT as slit_valid() does (drivers/acpi/numa/srat.c): 10 at home, more than that elsewhere."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(row, list | tuple) for row in value):
        raise ConfigError(f"{source.of_value(path)}: {path}: {value!r} is not a table: expected a list of rows")
    for n, row in enumerate(value):
        if len(row) != len(value):
            problem = f"a row of {len(row)} in a table of {len(value)} rows: expected a square table"
            raise ConfigError(f"{source.of_value(f'{path}[{n}]')}: {path}[{n}]: {problem}")
        for m, cell in enumerate(row):
            kind = _HOME if n == m else _AWAY
            check(kind, f"{path}[{n}][{m}]", cell, source)
    return tuple(map(tuple, value))


_HOME: Final = Annotated[int, Meta(ge=_LOCAL_DISTANCE, le=_LOCAL_DISTANCE)]
_AWAY: Final = Annotated[int, Meta(ge=_LOCAL_DISTANCE + 1, le=255)]


def _agree(values: Mapping[str, Any]) -> None:
    """Raise LayoutError for the first contradiction between values that are right each for itself."""
    arch = values["arch"]
    if values["cpus"] > _MAX_CPUS[arch]:
        raise LayoutError("cpus", f"{values['cpus']} is more than {arch} can have: expected 1 to {_MAX_CPUS[arch]}")
    nodes = lay_out(values["nodes"], values["memory"], values["cpus"], values["low_memory_top"])
    end = max((end for node in nodes for _, end in node.ranges), default=0)
    if end > _MEMORY_END[arch]:
        problem = f"RAM ends at {end:#x}: expected an end of at most {show_size(_MEMORY_END[arch])} on {arch}"
        raise LayoutError("memory", problem)
    if values["movable"] >= values["memory"]:
        limit = show_size(values["memory"])
        raise LayoutError(
            "movable", f"{show_size(values['movable'])} leaves the kernel no memory: expected below {limit}"
        )
    distances = values["distances"]
    if distances is not None and len(distances) != len(nodes):
        expected = f"expected {len(nodes)} by {len(nodes)}"
        raise LayoutError("distances", f"a table of {len(distances)} rows for {len(nodes)} nodes: {expected}")


_DEFAULTS: Final[dict[str, Any]] = {
    field.name: field.default for field in fields(KernelConfig) if field.name != "origin"
}
_RULES: Final = {
    **{field.name: field.type for field in fields(KernelConfig) if field.name != "origin"},
    "machine": str | None,
}
_SPECIAL: Final[Mapping[str, Checker]] = {"nodes": node_list, "distances": _distances, "machine": _name_of}
