"""Module parameters (``kernel/params.c``, ``include/linux/moduleparam.h``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmock.kernel.module_image import Image
    from kmock.kernel.printk import Log

RANGES = {
    "byte": (0, 0xFF),
    "short": (-0x8000, 0x7FFF),
    "ushort": (0, 0xFFFF),
    "int": (-(1 << 31), (1 << 31) - 1),
    "uint": (0, (1 << 32) - 1),
    "hexint": (0, (1 << 32) - 1),
    "long": (-(1 << 63), (1 << 63) - 1),
    "ulong": (0, (1 << 64) - 1),
    "ullong": (0, (1 << 64) - 1),
}
TYPES = (*RANGES, "bool", "invbool", "charp")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One ``module_param()``: ``name`` is what insmod takes, ``variable`` the module's global."""

    name: str
    variable: str
    type: str
    perm: int
    most: int | None = None
    """Most elements of an array; None for a plain parameter."""


def type_name(type: object) -> str:
    """Return the kernel's name of a parameter's type: a Python type, or the name itself."""
    name = {int: "int", bool: "bool", str: "charp"}.get(type, type)  # type: ignore[call-overload]
    if name not in TYPES:
        raise TypeError(f"{type!r} is no type of module parameters; they are {', '.join(TYPES)}")
    return str(name)


def set_parameter(log: Log, module: str, image: Image, parameter: Parameter, value: object) -> None:
    """Set a module's global from insmod's value; OSError EINVAL if it doesn't fit the type."""
    try:
        if parameter.most is None:
            found = convert(parameter.type, value)
        else:
            items = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
            found = [convert(parameter.type, item) for item in items]
            if len(found) > parameter.most:
                raise ValueError
    except (TypeError, ValueError):
        log.write(f"{module}: `{value}' invalid for parameter `{parameter.name}'")
        limit = f" array of at most {parameter.most}" if parameter.most is not None else ""
        message = f"{value!r} is invalid for parameter {parameter.name!r} of {module}, which is of type {parameter.type}{limit}"
        raise OSError(errno.EINVAL, message) from None
    setattr(image.module, parameter.variable, found)


def shown(parameter: Parameter, value: Any) -> str:
    """Return a parameter's value as sysfs shows it."""
    if parameter.most is not None:
        return ",".join(_shown(parameter.type, item) for item in value)
    return _shown(parameter.type, value)


def _shown(type: str, value: Any) -> str:
    if type in ("bool", "invbool"):
        return "Y" if bool(value) is not (type == "invbool") else "N"
    return f"{value:#x}" if type == "hexint" else str(value)


def convert(type: str, value: object) -> Any:
    """Return ``value`` as a parameter of ``type``; TypeError or ValueError if it can't be one."""
    if type == "charp":
        return _text(value)
    if type in ("bool", "invbool"):
        return _truth(value) is not (type == "invbool")
    number = int(value, 0) if isinstance(value, str) else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError
    low, high = RANGES[type]
    if not low <= number <= high:
        raise ValueError
    return number


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _truth(value: object) -> bool:
    # strtobool(): the first letter decides.
    if isinstance(value, str):
        return {"y": True, "Y": True, "1": True, "n": False, "N": False, "0": False}[value[:1]]
    if value not in (0, 1):
        raise ValueError
    return bool(value)
