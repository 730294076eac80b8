"""What can be wrong with a copy between kernel and process (``mm/usercopy.c``, ``lib/usercopy.c``, KMSAN).

Five questions: may the copy sleep here; does it stay inside the kernel's object; does it tell the process what
nobody wrote; does the driver do something about the part that was not copied; and does it fetch once what it
relies on. The last two are decided when the system call returns, from what :class:`Traffic` noted meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmock import kinds
from kmock.lang.ptr import Ptr
from kmock.lang.struct import sizeof
from kmock.sanitizers import shadow
from kmock.sanitizers.hardened_usercopy import check_object_size
from kmock.sanitizers.string_checks import python_bytes
from kmock.sanitizers.user_fetch import ShortCopy, Traffic, holds_number, looked_at_again
from kmock.stack import site, user_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.sanitizers.user_fetch import Fetch
    from kmock.stack import Stack

_NOT_TASK = 0xFF_0100
"""Bits of preempt_count that ``in_task()`` tests: NMI, hard interrupt, softirq being served."""


@dataclass(frozen=True, slots=True)
class Direction:
    """Which way a copy goes, and the words that the kernel has for it."""

    to_user: bool
    sleeps_at: str
    """Where ``might_fault()`` stands."""
    access_ok_at: str
    function: str
    attempt: str
    """What hardened usercopy calls it."""
    name: str


TO_USER = Direction(
    True, "lib/usercopy.c:36", "lib/usercopy.c:39", "_copy_to_user", "exposure attempt detected from", "to user space"
)
FROM_USER = Direction(
    False,
    "lib/usercopy.c:14",
    "lib/usercopy.c:15",
    "_copy_from_user",
    "overwrite attempt detected to",
    "from user space",
)


class NotCopied(int):
    """The number of bytes that a copy left: an int that can be told from every other one."""


class UserCopy:
    """The checks of one machine."""

    __slots__ = ("_warned", "calls", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.calls: dict[Task, Traffic] = {}
        """The system calls in progress."""
        self._warned: set[str] = set()

    # -- may it sleep -----------------------------------------------------------------------------

    def might_fault(self, direction: Direction, at: str | None = None) -> None:
        """``might_fault()`` and ``WARN_ON_IN_IRQ()``; ``at`` "" is an inlined access, at the driver's own line."""
        k = self.kernel
        cpu = k.cpu
        task = cpu.task
        if task.pagefault_disabled:
            k.atomic_sleep.asked += 1  # and the answer is no
            return
        if task.held and task.mm is not None:
            self._needs_lock(task)
        if not (cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block):
            return
        place = at if at is not None else direction.sleeps_at
        if not place:
            frame = next(iter(user_frames(k.capture())), None)
            place = frame.short if frame else "<driver>:0"
        in_irq = bool(cpu.preempt_count & _NOT_TASK)
        kind = "usercopy-irq-context" if in_irq else "usercopy-atomic"
        k.atomic_sleep.might_sleep(place, kind)
        if in_irq and at is None and k.config.atomic_sleep and direction.access_ok_at not in self._warned:
            # WARN_ON_IN_IRQ() says the same once more: one mistake, so it goes to the log alone.
            self._warned.add(direction.access_ok_at)
            warning = f"at {direction.access_ok_at} {direction.function}+0x0/0x0"
            k.log.write(f"WARNING: CPU: {cpu.id} PID: {task.pid} {warning}")

    def _needs_lock(self, task: Task) -> None:
        """``might_lock_read(&current->mm->mmap_lock)``: a page that has to be brought in is brought in under that lock."""
        k = self.kernel
        lock = task.mm.mmap_lock
        held = next((held for held in task.held if held.lock is lock), None)
        if held is None:
            if k.config.lockdep and not task.lockdep_off:
                k.lockdep.might_take(lock, read=1, why="usercopy-under-lock")
            return
        stack = k.capture()
        own = f"BUG: kmock: usercopy-under-lock in {k.symbol(stack)}"
        k.report(
            "usercopy-under-lock",
            "WARNING: possible recursive locking detected" if k.config.lockdep else own,
            lines=[
                f"{task!r} is trying to acquire lock:",
                f"{k.lockdep.address(lock):016x} {k.lockdep.describe(lock)}, at: __might_fault+0x0/0x0",
                "but task is already holding lock:",
                k.lockdep.line(held),
            ],
            stacks={"access": stack, "taken": held.stack},
            key=("usercopy-under", site(stack)),
        )

    # -- does it stay inside the object -----------------------------------------------------------

    def kernel_side(self, p: int, n: int, *, write: bool, by: str) -> Iterator[tuple[int, int]]:
        """Check the kernel's buffer; yield the physical pieces ``(address, length)`` of ``[p, p + n)``."""
        k = self.kernel
        about = self._overrun(p, n)
        if about is None:
            yield from k.mem.access(p, 0, n, write=write, by=by)
            return
        name = shadow.bug_name(k, about.end)
        k.kasan._report(self._overflow(n), name, int(p), n, write=write, about=about, by=by)
        yield from self._physical(int(p), n)

    def _overrun(self, p: int, n: int) -> Allocation | None:
        """Return the living object that a copy of ``n`` bytes at ``p`` begins in and leaves."""
        about: Allocation | None = getattr(p, "origin", None)
        if about is None and isinstance(p, Ptr) and n:
            about = self.kernel.mem.owner(p)
        if about is None or not about.live or not about.size:
            return None
        return about if about.addr <= p < about.end < p + n else None

    def _overflow(self, n: int) -> str:
        """Kind of report for a copy of ``n`` bytes that is too long: whose length it is."""
        k = self.kernel
        traffic = self.calls.get(k.cpu.task)
        if traffic is None:
            return "usercopy-overflow-object"
        from_process = n in traffic.given or any(
            holds_number(k.uaccess.read(fetch.address, min(fetch.n, 4096)), n) for fetch in traffic.fetched
        )
        return "usercopy-size-unchecked" if from_process else "usercopy-overflow-object"

    def _physical(self, address: int, n: int) -> Iterator[tuple[int, int]]:
        while n > 0:
            phys = self.kernel.mem.translate(address)
            if phys is None:
                return
            m = min(4096 - (phys & 4095), n)
            yield phys, m
            address += m
            n -= m

    def fits(self, buffer: Any, n: int) -> bool:
        """``check_copy_size()``: whether ``n`` bytes fit into a buffer whose size its type tells; say so if not."""
        if isinstance(buffer, int):  # a pointer: only its object's own record tells
            return True
        data = python_bytes(buffer)
        room = sizeof(buffer) if data is None else len(data)
        if n <= room:
            return True
        self.kernel.warn(
            self._overflow(n),
            "mm/maccess.c:228",
            "__copy_overflow",
            f"Buffer overflow detected ({room} < {n})!",
            attributes={"size": n, "room": room},
        )
        return False

    def hardened(self, p: int, n: int, direction: Direction) -> None:
        """``check_object_size()``."""
        check_object_size(self.kernel, p, n, direction)

    # -- whose pointer is it ----------------------------------------------------------------------

    def driver_pointer(self, address: int, direction: Direction) -> bool:
        """Report a kernel pointer of the driver's own where a process' is expected; whether it was one."""
        about: Allocation | None = getattr(address, "origin", None)
        if about is None:
            return False
        self._kernel_pointer(
            f"{about.what}, a kernel address, stands where a __user pointer is expected", direction, about
        )
        return True

    def kernel_address(self, address: int, direction: Direction) -> None:
        """Report an access without ``access_ok()`` that a process led into the kernel."""
        about: Allocation | None = getattr(address, "origin", None)
        text = f"{int(address):#x} is a kernel address; without access_ok() the kernel's own memory is copied"
        self._kernel_pointer(text, direction, about if about is not None else self.kernel.mem.owner(address))

    def _kernel_pointer(self, text: str, direction: Direction, about: Allocation | None) -> None:
        k = self.kernel
        stack = k.capture()
        k.report(
            "kernel-pointer-as-user",
            f"BUG: kmock: kernel-pointer-as-user in {k.symbol(stack)}",
            lines=[f"copying {direction.name}: {text}"],
            stacks={"access": stack} | ({"allocated": about.alloc_stack} if about is not None else {}),
            key=("kernel-pointer", k.symbol(stack)),
        )

    # -- does it leak -----------------------------------------------------------------------------

    def leaves(self, source: int, n: int, to: int) -> None:
        """KMSAN's question: report bytes that a process now has and nobody ever wrote."""
        k = self.kernel
        if n and k.config.initmem:
            k.kmsan.check_leaves(source, n, to)

    # -- what became of the rest ------------------------------------------------------------------

    def begin(self, task: Task, *given: int) -> None:
        """``task`` enters a system call, with those numbers."""
        self.calls[task] = Traffic(given)

    def copied(self, direction: Direction, address: int, n: int) -> None:
        """A copy was done to its end."""
        if self.calls and (traffic := self.calls.get(self.kernel.cpu.task)) is not None:
            traffic.copied_whole(direction, int(address), n)
            if not direction.to_user:
                traffic.fetch(int(address), n, self.kernel.capture())

    def fell_short(self, direction: Direction, address: int, n: int, left: int) -> None:
        """A copy left ``left`` of its ``n`` bytes."""
        if self.calls and (traffic := self.calls.get(self.kernel.cpu.task)) is not None:
            traffic.copied += n - left
            stack = self.kernel.capture()
            traffic.short.append(ShortCopy(direction, int(address), n, left, stack))

    def endless(self, to: int, n: int) -> None:
        """A string filled its buffer of ``n`` bytes at ``to`` and did not end."""
        if self.calls and isinstance(to, Ptr) and (traffic := self.calls.get(self.kernel.cpu.task)) is not None:
            traffic.endless.append((to, n, self.kernel.capture()))

    def end(self, task: Task, result: int, count: int | None) -> None:
        """``task``'s system call returns ``result``; ``count`` is what it was to read or write, None for others."""
        traffic = self.calls.pop(task, None)
        if traffic is None:
            return
        if traffic.short:
            self._judge_rest(traffic, result, count)
        if result < 0:
            return
        for to, n, stack in traffic.endless:
            self._judge_string(to, n, stack)
        for tell in traffic.unanswered:
            tell()
        for first, second in traffic.again:
            if not looked_at_again(second.stack):
                self._double_fetch(first, second)

    def _double_fetch(self, first: Fetch, second: Fetch) -> None:
        """The call went well with bytes that it read twice and may have seen change in between."""
        k = self.kernel
        start, end = max(first.address, second.address), min(first.end, second.end)
        k.report(
            "user-double-fetch",
            f"BUG: kmock: user-double-fetch in {k.symbol(second.stack)}",
            lines=[
                f"{end - start} bytes at {start:#x} of the process were fetched before, and are not looked at again"
            ],
            stacks={"access": second.stack, "fetched before": first.stack},
            key=("double-fetch", k.symbol(second.stack)),
        )

    def _judge_string(self, to: Ptr, n: int, stack: Stack) -> None:
        """The call went well: report a buffer that still has a string without an end in it."""
        k = self.kernel
        about = to.origin
        if about is None or not about.live or about.phys < 0:
            return
        start = about.phys + (to - Ptr(about.addr))
        room = min(n + 1, about.end - int(to))  # the NUL may stand behind what was copied
        if 0 not in k.ram.bytes[start : start + room]:
            k.report(
                "usercopy-string-unterminated",
                f"BUG: kmock: usercopy-string-unterminated in {k.symbol(stack)}",
                lines=[
                    f"the string of {n} or more bytes has no NUL in its buffer, and the system call returned success"
                ],
                stacks={"access": stack, "allocated": about.alloc_stack},
                object=k.kasan.info(about, int(to)),
            )

    def _judge_rest(self, traffic: Traffic, result: int, count: int | None) -> None:
        if isinstance(result, NotCopied) and result:
            self._judge(
                "usercopy-residue-returned",
                traffic.short[-1],
                f"{int(result)} bytes not copied are returned as the result",
            )
        elif result >= 0 and (count is None or result > traffic.copied):
            done = "success" if count is None else f"{result} bytes, of which {traffic.copied} were copied"
            self._judge("usercopy-result-ignored", traffic.short[-1], f"the system call returned {done}")

    def _judge(self, kind: str, short: ShortCopy, text: str) -> None:
        k = self.kernel
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(short.stack)}",
            lines=[
                f"{short.left} of {short.n} bytes {short.direction.name} at {short.address:#x} were not copied; {text}"
            ],
            stacks={"access": short.stack},
            hint=f"{kinds.kind(kind).hint}; here {short.left} of {short.n} bytes were not copied",
        )
