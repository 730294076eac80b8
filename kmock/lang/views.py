"""Typed views of memory behind a pointer: ``p.u32[3]``, ``p.be16[0] = 7``, ``p.ptr[1]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kmock.current import current

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr


class View:
    """An unbounded array of integers at a pointer; index it with an element number."""

    __slots__ = ("base", "signed", "size")
    order: Literal["little", "big"] = "little"

    def __init__(self, base: Ptr, size: int, signed: bool = False) -> None:
        self.base = base
        self.size = size
        self.signed = signed

    def __getitem__(self, index: int) -> int:
        size = self.size
        mem = (current.kernel or current.get()).mem
        if mem.lint and (int(self.base) + index * size) % size:
            mem.kernel.kasan.misaligned(int(self.base) + index * size, size, write=False)
        value = int.from_bytes(mem.load(self.base, index * size, size), self.order, signed=self.signed)
        return value if mem.told is None else mem.told(self.base, index * size, value)

    def __setitem__(self, index: int, value: int) -> None:
        size = self.size
        mem = (current.kernel or current.get()).mem
        if mem.lint and (int(self.base) + index * size) % size:
            mem.kernel.kasan.misaligned(int(self.base) + index * size, size, write=True)
        mem.store(self.base, index * size, (int(value) & ((1 << 8 * size) - 1)).to_bytes(size, self.order))
        if size == 8 and getattr(value, "origin", None) is not None:
            mem.keep_origin(self.base, index * size, value)


class LittleEndian(View):
    """Elements are ``__le16``, ``__le32`` or ``__le64``, read and written as CPU numbers."""

    __slots__ = ()

    def __init__(self, base: Ptr, size: int) -> None:
        super().__init__(base, size)


class BigEndian(View):
    """Elements are ``__be16``, ``__be32`` or ``__be64``, read and written as CPU numbers."""

    __slots__ = ()
    order = "big"

    def __init__(self, base: Ptr, size: int) -> None:
        super().__init__(base, size)


class PtrView:
    """An unbounded array of pointers at a pointer."""

    __slots__ = ("base",)

    def __init__(self, base: Ptr) -> None:
        self.base = base

    def __getitem__(self, index: int) -> Ptr:
        k = current.get()
        return k.mem.load_ptr(self.base, index * (k.layout.bits // 8))

    def __setitem__(self, index: int, value: int) -> None:
        k = current.get()
        k.mem.store_ptr(self.base, index * (k.layout.bits // 8), value)
