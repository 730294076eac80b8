"""Drivers, as buses and the driver core know them (``drivers/base/driver.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class device_driver:
    """``struct device_driver``; the members are given by keyword."""

    def __init__(
        self,
        *,
        name: str = "",
        bus: Any = None,
        owner: Any = None,
        probe: Callable[[Any], int] | None = None,
        remove: Callable[[Any], object] | None = None,
        shutdown: Callable[[Any], object] | None = None,
        groups: Any = None,
        dev_groups: Any = None,
        of_match_table: Any = None,
        suppress_bind_attrs: bool = False,
        pm: Any = None,
    ) -> None:
        self.name = name
        self.bus = bus
        self.owner = owner
        self.probe = probe
        self.remove = remove
        self.shutdown = shutdown
        self.groups = groups
        self.dev_groups = dev_groups
        self.of_match_table = of_match_table
        self.suppress_bind_attrs = suppress_bind_attrs
        self.pm = pm

    def __repr__(self) -> str:
        return f"<driver {self.name}>"
