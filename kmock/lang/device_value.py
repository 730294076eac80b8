"""Numbers that a device gave: they are what they are, and know where they came from.

Sums and products with them know it too, so that an index or a length that a device chose can be told from the driver's own.
Whatever else is done with one (a mask, a shift to the right, a comparison) gives a plain number: it was looked at.
"""

from __future__ import annotations


class DeviceValue(int):
    """A number that was read at physical address, or port, ``source``: a register, or memory that the device wrote."""

    source: int

    def __add__(self, other: int) -> int:
        return derived(int(self) + other, self.source)

    __radd__ = __add__

    def __sub__(self, other: int) -> int:
        return derived(int(self) - other, self.source)

    def __rsub__(self, other: int) -> int:
        return derived(other - int(self), self.source)

    def __mul__(self, other: int) -> int:
        return derived(int(self) * other, self.source)

    __rmul__ = __mul__

    def __lshift__(self, other: int) -> int:
        return derived(int(self) << other, self.source)


def derived(value: int, source: int) -> int:
    """Return ``value`` as one that came from ``source``, if it is a plain number: a pointer stays a pointer."""
    if value.__class__ is not int:
        return value
    made = DeviceValue(value)
    made.source = source
    return made
