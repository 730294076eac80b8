"""The ``kmock`` command: look up functions, kinds of finding and machines without leaving the terminal."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

from kmock import kinds

try:
    import click
except ImportError:
    raise SystemExit("kmock: the command needs click: pip install 'pytest-kmock[cli]'") from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kmock.config import KernelConfig
    from kmock.linux._api import Contract


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-kmock", prog_name="kmock")
def main() -> None:
    """Look things up in kmock, the simulated Linux machine for pytest."""


@main.command()
@click.argument("name", required=False)
def api(name: str | None) -> None:
    """List the kernel functions that kmock offers, or tell all about NAME (a function or a header such as slab.h)."""
    known = functions()
    if name in known:
        click.echo(_describe(known[name]))
        return
    header = (name or "").removeprefix("linux/").removesuffix(".h")
    shown = [f for f in known.values() if not header or _contract(f).header == f"linux/{header}.h"]
    if not shown:
        raise click.ClickException(_no_such("function or header", str(name), [*known, *_headers(known.values())]))
    for function in shown:
        click.echo(_line(function))


@main.command("kinds")
@click.argument("id", required=False)
def kinds_(id: str | None) -> None:
    """List the kinds of finding, or tell all about ID; globs such as 'slab-*' work."""
    known = kinds.catalogue()
    if id in known:
        click.echo(_kind(known[id]))
        return
    shown = [kind for kind in known.values() if id is None or kind.matches(id)]
    if not shown:
        raise click.ClickException(_no_such("kind", str(id), known))
    width = max(len(kind.id) for kind in shown)
    for kind in shown:
        click.echo(f"{kind.id:<{width}}  {kind.severity:<4}  {kind.trigger}")


@main.command()
@click.argument("name")
def machine(name: str) -> None:
    """Check the machine NAME, a preset or a YAML file, and show what it is made of."""
    from kmock.config import ConfigError, KernelConfig  # noqa: PLC0415 -- the other commands do without

    try:
        click.echo("\n".join(_machine(KernelConfig.make(name, where="kmock machine"))))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


# --- functions -----------------------------------------------------------------------------------------------------------


def functions() -> dict[str, Callable[..., Any]]:
    """Return every kernel function that has a contract, by name, sorted."""
    import kmock.linux  # noqa: PLC0415 -- the engine; the other commands do without

    found: dict[str, Callable[..., Any]] = {}
    for info in pkgutil.walk_packages(kmock.linux.__path__, "kmock.linux."):
        if not info.name.rpartition(".")[2].startswith("_"):
            module = importlib.import_module(info.name)
            found |= {
                f.__name__: f for f in vars(module).values() if hasattr(f, "contract") and f.__module__ == info.name
            }
    return dict(sorted(found.items()))


def _contract(function: Callable[..., Any]) -> Contract:
    contract: Contract = function.contract  # type: ignore[attr-defined] # set by @api
    return contract


def _headers(known: Iterable[Callable[..., Any]]) -> list[str]:
    return sorted({_contract(function).header.removeprefix("linux/") for function in known})


def _line(function: Callable[..., Any]) -> str:
    contract = _contract(function)
    notes = [
        f"sleeps {contract.sleeps.value}" * (contract.sleeps.name != "NEVER"),
        f"undo {contract.undo}" * bool(contract.undo),
    ]
    notes += [f"until {contract.until}" * bool(contract.until)]
    said = ", ".join(note for note in notes if note)
    return f"<{contract.header}>  {contract.name}({', '.join(contract.parameters)})" + f"  -- {said}" * bool(said)


def _describe(function: Callable[..., Any]) -> str:
    contract = _contract(function)
    rows = {
        "header": f"<{contract.header}>",
        "since": contract.since,
        "until": contract.until,
        "replaced by": contract.replaced_by,
        "sleeps": contract.sleeps.value,
        "illegal in": ", ".join(flag.name.lower() for flag in contract.illegal if flag.name),
        "undone by": contract.undo,
        "can fail": "yes" if contract.fails else "no",
    }
    table = [f"  {key + ':':<12} {text}" for key, text in rows.items() if text]
    return "\n".join(
        [f"{contract.name}({', '.join(contract.parameters)})", "", *table, "", inspect.getdoc(function) or ""]
    )


# --- kinds and machines --------------------------------------------------------------------------------------------------


def _kind(kind: kinds.Kind) -> str:
    narrower = ", ".join(other.id for other in kinds.catalogue().values() if other.broader == kind.id)
    rows = {
        "means": kind.trigger,
        "severity": kind.severity,
        "is a": kind.broader,
        "includes": narrower,
        "mend it": kind.hint,
    }
    return "\n".join([kind.id, *(f"  {key + ':':<9} {text}" for key, text in rows.items() if text)])


def _machine(config: KernelConfig) -> Iterable[str]:
    from kmock.config import show_size  # noqa: PLC0415 -- the other commands do without

    yield f"{config.origin}: {config.arch}, {config.cpus} CPUs, {show_size(config.memory)} of RAM, seed {config.seed}"
    for nid, node in enumerate(config.topology):
        cpus = ",".join(map(str, node.cpus))
        ranges = " ".join(f"[{start:#x}-{end - 1:#x}]" for start, end in node.ranges)
        yield f"node {nid}: CPUs {cpus or 'none'}; RAM {ranges or 'none'}"
    checks = [name for name in _CHECKS if getattr(config, name)]
    yield f"checks: {', '.join(checks) or 'none'}"
    if config.cmdline:
        yield f"command line: {config.cmdline}"


_CHECKS = (
    "kasan",
    "kmemleak",
    "lockdep",
    "atomic_sleep",
    "debug_vm",
    "initmem",
    "page_check",
    "usercopy",
    "refcount",
    "contracts",
    "lint",
    "uninit_loads",
)


def _no_such(what: str, name: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(choices), n=1)
    return f"there is no {what} {name!r}" + (f": did you mean {near[0]!r}?" if near else "")
