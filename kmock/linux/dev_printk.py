"""``<linux/dev_printk.h>``: messages that name their device: ``driver device: text``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import bug, loglevel
from kmock.lang.format import vsprintf
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


def _prefix(dev: Any) -> str:
    # dev_driver_string(): the driver's name, else the bus', else the class'.
    if dev is None:
        return "(NULL device *): "
    named = (getattr(getattr(dev, part, None), "name", "") for part in ("driver", "bus", "class_"))
    driver = next(filter(None, named), "")
    name = getattr(dev, "init_name", "") or getattr(dev, "name", "") or str(dev)
    return f"{driver} {name}: "


def _print(k: Kernel, dev: Any, fmt: str, args: tuple[Any, ...]) -> int:
    return loglevel.printk(k, "%s%s", (_prefix(dev), vsprintf(k, fmt, args)))


@api(since="2.6.9")
def dev_dbg(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log nothing: without DEBUG these messages are compiled out."""
    return 0


@api(since="5.9")
def dev_err_probe(k: Kernel, dev: Any, err: int, fmt: str, *args: Any) -> int:
    """Log why a probe fails, unless it is only deferred; return ``err``."""
    if err != -517:  # -EPROBE_DEFER
        _print(k, dev, f"error %pe: {fmt}", (err % (1 << 64), *args))
    return err


@api(since="2.6.31")
def dev_WARN(k: Kernel, dev: Any, fmt: str, *args: Any) -> None:
    """Warn, naming the device."""
    bug.warn(k, _prefix(dev) + bug.message_of(k, fmt, args))


@api(since="2.6.9")
def dev_emerg(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log a message about ``dev`` at level KERN_EMERG."""
    return _print(k, dev, fmt, args)


@api(since="2.6.9")
def dev_alert(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log a message about ``dev`` at level KERN_ALERT."""
    return _print(k, dev, fmt, args)


@api(since="2.6.9")
def dev_crit(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log a message about ``dev`` at level KERN_CRIT."""
    return _print(k, dev, fmt, args)


@api(since="2.6.9")
def dev_err(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log a message about ``dev`` at level KERN_ERR."""
    return _print(k, dev, fmt, args)


@api(since="2.6.9")
def dev_warn(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log a message about ``dev`` at level KERN_WARNING."""
    return _print(k, dev, fmt, args)


@api(since="2.6.9")
def dev_notice(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log a message about ``dev`` at level KERN_NOTICE."""
    return _print(k, dev, fmt, args)


@api(since="2.6.9")
def dev_info(k: Kernel, dev: Any, fmt: str, *args: Any) -> int:
    """Log a message about ``dev`` at level KERN_INFO."""
    return _print(k, dev, fmt, args)


@api(since="3.4")
def dev_err_once(k: Kernel, dev: Any, fmt: str, *args: Any) -> None:
    """Log a message about ``dev`` the first time this line is reached."""
    if bug.first_time(k):
        _print(k, dev, fmt, args)


@api(since="3.4")
def dev_err_ratelimited(k: Kernel, dev: Any, fmt: str, *args: Any) -> None:
    """Log a message about ``dev``, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        _print(k, dev, fmt, args)


@api(since="3.4")
def dev_warn_once(k: Kernel, dev: Any, fmt: str, *args: Any) -> None:
    """Log a message about ``dev`` the first time this line is reached."""
    if bug.first_time(k):
        _print(k, dev, fmt, args)


@api(since="3.4")
def dev_warn_ratelimited(k: Kernel, dev: Any, fmt: str, *args: Any) -> None:
    """Log a message about ``dev``, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        _print(k, dev, fmt, args)


@api(since="3.4")
def dev_info_once(k: Kernel, dev: Any, fmt: str, *args: Any) -> None:
    """Log a message about ``dev`` the first time this line is reached."""
    if bug.first_time(k):
        _print(k, dev, fmt, args)


@api(since="3.4")
def dev_info_ratelimited(k: Kernel, dev: Any, fmt: str, *args: Any) -> None:
    """Log a message about ``dev``, at most ten times in five seconds."""
    if loglevel.rate_limited(k):
        _print(k, dev, fmt, args)


__getattr__ = header_getattr(__name__)
__all__ = [
    "dev_WARN",
    "dev_alert",
    "dev_crit",
    "dev_dbg",
    "dev_emerg",
    "dev_err",
    "dev_err_once",
    "dev_err_probe",
    "dev_err_ratelimited",
    "dev_info",
    "dev_info_once",
    "dev_info_ratelimited",
    "dev_notice",
    "dev_warn",
    "dev_warn_once",
    "dev_warn_ratelimited",
]
