"""Copies between the kernel and a process (``lib/usercopy.c``, ``arch/x86/include/asm/uaccess.h``).

The process is the one that runs, :attr:`Task.mm`. A copy stops at the first byte that the process doesn't
have and returns how many bytes it did not copy, as the kernel's does.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kmock.lang.ptr import Ptr
from kmock.lang.struct import as_ptr
from kmock.sanitizers.string_checks import load, python_bytes, store
from kmock.sanitizers.usercopy import FROM_USER, TO_USER, NotCopied, UserCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.sanitizers.object import Allocation
    from kmock.sanitizers.usercopy import Direction

INT_MAX = (1 << 31) - 1
PAGE_SIZE = 4096


class Uaccess:
    """User access of one machine's kernel."""

    __slots__ = ("checks", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.checks = UserCopy(kernel)

    # -- copies -----------------------------------------------------------------------------------

    def copy_to_user(self, to: int, source: Any, n: int) -> int:
        """``copy_to_user()``: return the number of bytes not copied.

        ``source`` is a pointer, a Struct, or a Python object that stands for a local array.
        """
        if not self._size_ok(n) or not self.checks.fits(source, n):
            return n
        if source.__class__ is not Ptr:
            if python_bytes(source) is not None:
                data = load(self.kernel, source, n)
                return self._checked(TO_USER, to, n, lambda: self._settle(TO_USER, to, n, self.write(to, data)))
            source = as_ptr(source)
        self.checks.hardened(source, n, TO_USER)
        return self._checked(TO_USER, to, n, lambda: self._to_user(to, source, n, "_copy_to_user"))

    def copy_from_user(self, to: Any, source: int, n: int) -> int:
        """``copy_from_user()``: return the number of bytes not copied; they are zeroed in ``to``.

        ``to`` is a pointer, a Struct, or a ``bytearray`` or ctypes object that stands for a local variable.
        """
        if not self._size_ok(n) or not self.checks.fits(to, n):
            return n
        if to.__class__ is not Ptr:
            if python_bytes(to) is not None:
                return self._to_local(to, source, n)
            to = as_ptr(to)
        self.checks.hardened(to, n, FROM_USER)
        left = self._checked(FROM_USER, source, n, lambda: self._from_user(to, source, n, "_copy_from_user"))
        if left:
            self.kernel.mem.fill(to, n - left, 0, left)
        return left

    def _to_local(self, to: Any, source: int, n: int) -> int:
        data = b""

        def copy() -> int:
            nonlocal data
            data = self.read(source, n)
            return self._settle(FROM_USER, source, n, len(data))

        left = self._checked(FROM_USER, source, n, copy)
        store(self.kernel, to, data.ljust(n, b"\0"))
        return left

    def _checked(self, direction: Direction, user: int, n: int, copy: Callable[[], int]) -> int:
        self.checks.might_fault(direction)
        if self._injected() or not self._ok(user, n, direction):
            return self._not_copied(direction, user, n, n)
        return copy()

    def unchecked_to_user(self, to: int, source: Any, n: int, *, may_fault: bool) -> int:
        """``__copy_to_user()``, or ``__copy_to_user_inatomic()`` where it may not fault: no ``access_ok()``."""
        source = as_ptr(source)
        if may_fault:
            self.checks.might_fault(TO_USER)
            if self._injected():
                return self._not_copied(TO_USER, to, n, n)
        self.checks.hardened(source, n, TO_USER)
        if not self._in_user_half(to, n):
            return self._as_if_user(to, source, n, to, TO_USER)
        return self._to_user(to, source, n, "__copy_to_user")

    def unchecked_from_user(self, to: Any, source: int, n: int, *, may_fault: bool) -> int:
        """``__copy_from_user()``, or ``__copy_from_user_inatomic()`` where it may not fault: no zeroing either."""
        to = as_ptr(to)
        if may_fault:
            self.checks.might_fault(FROM_USER)
            if self._injected():
                return self._not_copied(FROM_USER, source, n, n)
        self.checks.hardened(to, n, FROM_USER)
        if not self._in_user_half(source, n):
            return self._as_if_user(to, source, n, source, FROM_USER)
        return self._from_user(to, source, n, "__copy_from_user")

    def clear_user(self, to: int, n: int) -> int:
        """``clear_user()``: zero user memory; return the number of bytes not zeroed."""
        self.checks.might_fault(TO_USER, at="")
        if not self._ok(to, n, TO_USER):
            return self._not_copied(TO_USER, to, n, n)
        return self._settle(TO_USER, to, n, self.write(to, bytes(n)))

    # -- scalars ----------------------------------------------------------------------------------

    def get(self, source: int, size: int, *, signed: bool, checked: bool = True) -> tuple[int, int]:
        """``get_user()``: return 0 or -EFAULT, and the value, 0 on a fault."""
        self.checks.might_fault(FROM_USER, at="")
        data = b""
        if self._in_user_half(source, size):
            self.checks.driver_pointer(source, FROM_USER)
            data = self.read(source, size)
        elif self.checks.driver_pointer(source, FROM_USER) or not checked:
            data = self._kernel_bytes(source, size) if not checked else b""
        if self._settle(FROM_USER, source, size, len(data)):
            return -errno.EFAULT, 0
        return 0, int.from_bytes(data, "little", signed=signed)

    def put(self, value: int, to: int, size: int, *, checked: bool = True) -> int:
        """``put_user()``: store a number of ``size`` bytes; return 0 or -EFAULT."""
        self.checks.might_fault(TO_USER, at="")
        data = (int(value) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        done = 0
        if self._in_user_half(to, size):
            done = self.write(to, data)
        else:
            self.checks.driver_pointer(to, TO_USER)
            if not checked:
                done = self._store_kernel(to, data)
        return -errno.EFAULT if self._settle(TO_USER, to, size, done) else 0

    # -- strings ----------------------------------------------------------------------------------

    def strncpy_from_user(self, to: Any, source: int, count: int) -> int:
        """``strncpy_from_user()``: return the length without the NUL, ``count`` if there was none, or -EFAULT."""
        self.checks.might_fault(FROM_USER)
        if self._injected():
            return -errno.EFAULT
        if count <= 0:
            return 0
        if not self._in_user_half(source, 1):
            return -errno.EFAULT
        data = self.read(source, count, until=0)
        self._deposit_string(to, count, data)
        if data.endswith(b"\0"):
            return len(data) - 1
        if len(data) < count:
            self._not_copied(FROM_USER, source, count, count - len(data))
            return -errno.EFAULT
        self.checks.endless(to, count)
        return count

    def _deposit_string(self, to: Any, count: int, data: bytes) -> None:
        if to.__class__ is not Ptr and python_bytes(to) is not None:
            store(self.kernel, to, data)
            return
        p = as_ptr(to)
        self.checks.hardened(p, count, FROM_USER)
        # As in the kernel there has to be room for all that was asked for, however short the string.
        self._deposit(p, self._room(p, count, "strncpy_from_user"), data)

    def strnlen_user(self, source: int, count: int) -> int:
        """``strnlen_user()``: return the length with the NUL, more than ``count`` if it is longer, 0 on a fault."""
        self.checks.might_fault(FROM_USER)
        if count <= 0 or not self._in_user_half(source, 1):
            return 0
        data = self.read(source, count, until=0)
        if data.endswith(b"\0"):
            return len(data)
        return count + 1 if len(data) == count else 0

    # -- the process' memory ----------------------------------------------------------------------

    def read(self, source: int, n: int, until: int | None = None) -> bytes:
        """Return the process' bytes from ``source``, up to the first that can't be read or equals ``until``."""
        memory = self.kernel.ram.bytes
        out = bytearray()
        for phys, m in self._pieces(source, n, write=False):
            piece = memory[phys : phys + m].tobytes()
            if until is not None and (at := piece.find(until)) >= 0:
                return bytes(out + piece[: at + 1])
            out += piece
        return bytes(out)

    def write(self, to: int, data: bytes | memoryview) -> int:
        """Store ``data`` in the process' memory up to the first byte that can't be; return how many were."""
        memory = self.kernel.ram.bytes
        done = 0
        for phys, m in self._pieces(to, len(data), write=True):
            memory[phys : phys + m] = data[done : done + m]
            done += m
        return done

    def _pieces(self, address: int, n: int, *, write: bool) -> Iterator[tuple[int, int]]:
        mm = self._mm()
        if mm is None:
            return
        may_fault = not (self.kernel.cpu.preempt_count or self.kernel.cpu.task.pagefault_disabled)
        reach = mm.fault_in if may_fault else mm.present
        address = int(address)
        while n > 0:
            phys = reach(address, write=write)
            if phys is None:
                return
            m = min(PAGE_SIZE - (address & PAGE_SIZE - 1), n)
            yield phys, m
            address += m
            n -= m

    def _mm(self) -> mm_struct | None:
        found: mm_struct | None = self.kernel.cpu.task.mm
        return found

    # -- what a copy consists of ------------------------------------------------------------------

    def _to_user(self, to: int, source: int, n: int, by: str) -> int:
        memory = self.kernel.ram.bytes
        done = 0
        for phys, m in self._whole(source, n) or self.checks.kernel_side(source, n, write=False, by=by):
            stored = self.write(to + done, memory[phys : phys + m])
            done += stored
            if stored < m:
                break
        self.checks.leaves(source, done, to)
        return self._settle(TO_USER, to, n, done)

    def _whole(self, p: int, n: int) -> tuple[tuple[int, int]] | None:
        """Return ``[p, p + n)`` as the one piece of memory that it is in all but odd cases."""
        about: Allocation | None = getattr(p, "origin", None)
        if about is None or not about.live or about.phys < 0 or self.kernel.mem.watched:
            return None
        start = int(p) - about.addr
        return ((about.phys + start, n),) if 0 <= start <= start + n <= about.size else None

    def _from_user(self, to: int, source: int, n: int, by: str) -> int:
        pieces = self._room(to, n, by)
        data = self.read(source, n)
        self._deposit(to, pieces, data)
        return self._settle(FROM_USER, source, n, len(data))

    def _room(self, to: int, n: int, by: str) -> Sequence[tuple[int, int]]:
        return self._whole(to, n) or list(self.checks.kernel_side(to, n, write=True, by=by))

    def _deposit(self, to: int, pieces: Sequence[tuple[int, int]], data: bytes) -> None:
        memory = self.kernel.ram.bytes
        done = 0
        for phys, m in pieces:
            part = data[done : done + m]
            memory[phys : phys + len(part)] = part
            done += len(part)
        if done:
            self.kernel.mem.mark_written(to, 0, done)

    def _settle(self, direction: Direction, address: int, n: int, done: int) -> int:
        if done < n:
            return self._not_copied(direction, address, n, n - done)
        self.checks.copied(direction, address, n)
        return 0

    def _not_copied(self, direction: Direction, address: int, n: int, left: int) -> int:
        self.checks.fell_short(direction, address, n, left)
        return NotCopied(left)

    def _as_if_user(self, to: int, source: int, n: int, wrong: int, direction: Direction) -> int:
        self.checks.kernel_address(wrong, direction)
        if self.kernel.mem.translate(wrong) is None:
            return self._not_copied(direction, wrong, n, n)
        self.kernel.mem.copy(to, source, n)
        return 0

    def _kernel_bytes(self, address: int, n: int) -> bytes:
        self.checks.kernel_address(address, FROM_USER)
        return self.kernel.mem.load(address, 0, n) if self.kernel.mem.translate(address) is not None else b""

    def _store_kernel(self, address: int, data: bytes) -> int:
        self.checks.kernel_address(address, TO_USER)
        if self.kernel.mem.translate(address) is None:
            return 0
        self.kernel.mem.store(address, 0, data)
        return len(data)

    # -- what is asked first ----------------------------------------------------------------------

    def _size_ok(self, n: int) -> bool:
        if 0 <= n <= INT_MAX:
            return True
        self.kernel.warn("usercopy-int-truncation", "include/linux/thread_info.h:233", "check_copy_size", key=n)
        return False

    def _injected(self) -> bool:
        faults = self.kernel.faults
        return faults.active and faults.should_fail_usercopy()

    def _in_user_half(self, address: int, n: int) -> bool:
        return 0 <= int(address) <= self.kernel.layout.task_size - n

    def _ok(self, address: int, n: int, direction: Direction) -> bool:
        """``access_ok()``."""
        if self._in_user_half(address, n):
            return True
        self.checks.driver_pointer(address, direction)
        return False
