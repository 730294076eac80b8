"""Processes that map, unmap, move, protect, fork and touch memory, against a plain model of what each of them has."""

from __future__ import annotations

import mmap

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import kmock
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO as GFP_ZERO
from kmock.linux.gfp import GFP_KERNEL, alloc_pages
from kmock.linux.gfp import __free_page as free_one_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import VM_FAULT_SIGBUS, get_page, page_address, split_page, vm_operations_struct

BASE = 0x2000_0000
PAGE = mmap.PAGESIZE
ROOM = 24
FIXED = 0x10
DEVICE_PAGES = 4
MAYMOVE_FIXED = 3
PLACES = st.integers(0, ROOM - 1)
COUNTS = st.integers(1, 6)
KINDS = st.sampled_from(["private", "shared", "device", "device-private"])


class Page:
    """What one page of a process is: whose bytes it shows, and what may be done with it."""

    def __init__(self, kind: str, store: dict[int, int], index: int, prot: int) -> None:
        self.kind = kind
        self.store = store
        self.index = index
        self.prot = prot

    def read(self) -> int | str:
        if not self.prot:
            return "SIGSEGV"
        if self.beyond:
            return "SIGBUS"
        return self.store.get(self.index, 0)

    @property
    def beyond(self) -> bool:
        return self.kind.startswith("device") and self.store.get(self.index) is None

    def copy(self, prot: int | None = None) -> Page:
        return Page(self.kind, self.store, self.index, self.prot if prot is None else prot)


class Machine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.k = kmock.boot(memory="32M").__enter__()
        first = alloc_pages(GFP_KERNEL | GFP_ZERO, 2)
        split_page(first, 2)
        self.pages = [first + i for i in range(DEVICE_PAGES)]
        self.device = dict.fromkeys(range(DEVICE_PAGES), 0)
        self.counts = [0, 0]

        def fault(vmf):
            if vmf.pgoff >= DEVICE_PAGES:
                return VM_FAULT_SIGBUS
            get_page(self.pages[vmf.pgoff])
            vmf.page = self.pages[vmf.pgoff]
            return 0

        def opened(_vma):
            self.counts[0] += 1

        def closed(_vma):
            self.counts[1] += 1

        ops = vm_operations_struct(fault=fault, open=opened, close=closed)

        def dev_mmap(_file, vma):
            vma.vm_ops = ops
            opened(vma)
            return 0

        self.misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
        misc_register(self.misc)
        self.processes = {}
        self.add(self.k.user(), {})

    def add(self, p, model):
        self.processes[p] = model
        if 3 not in p.files:
            p.open("/dev/dev")

    def pick(self, number):
        return list(self.processes.items())[number % len(self.processes)]

    @rule(n=st.integers(0, 3), at=PLACES, count=COUNTS, kind=KINDS, write=st.booleans(), offset=st.integers(0, 3))
    def map(self, n, at, count, kind, write, offset):
        p, model = self.pick(n)
        flags = FIXED | (mmap.MAP_SHARED if kind in ("shared", "device") else mmap.MAP_PRIVATE)
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
        device = kind.startswith("device")
        p.mmap(3 if device else -1, count * PAGE, prot, flags, offset * PAGE if device else 0, addr=BASE + at * PAGE)
        fresh: dict[int, int] = {}
        for i in range(count):
            if kind == "private":
                model[at + i] = Page(kind, {}, 0, prot)
            elif kind == "shared":
                model[at + i] = Page(kind, fresh, i, prot)
            else:
                model[at + i] = Page(kind, self.device, offset + i, prot)

    @rule(n=st.integers(0, 3), at=PLACES, count=COUNTS)
    def unmap(self, n, at, count):
        p, model = self.pick(n)
        p.munmap(BASE + at * PAGE, count * PAGE)
        for i in range(at, at + count):
            model.pop(i, None)

    @rule(n=st.integers(0, 3), at=PLACES, count=COUNTS, prot=st.sampled_from([0, 1, 3]))
    def protect(self, n, at, count, prot):
        p, model = self.pick(n)
        there = [i for i in range(at, at + count) if i in model]
        if len(there) < count:
            with pytest.raises(OSError, match="Cannot allocate memory"):
                p.mprotect(BASE + at * PAGE, count * PAGE, prot)
            # What lies before the hole was changed.
            there = [i for i in there if i - at == there.index(i)]
        else:
            p.mprotect(BASE + at * PAGE, count * PAGE, prot)
        for i in there:
            model[i] = model[i].copy(prot)

    @rule(n=st.integers(0, 3), at=PLACES, count=COUNTS, to=PLACES)
    def move(self, n, at, count, to):
        p, model = self.pick(n)
        vma = p.mm.vma_lookup(BASE + at * PAGE)
        if vma is None or vma.vm_end < BASE + (at + count) * PAGE or abs(to - at) < count:
            return
        size = count * PAGE
        p.mremap(BASE + at * PAGE, size, size, MAYMOVE_FIXED, BASE + to * PAGE)
        moved = [model.pop(i) for i in range(at, at + count)]
        for i in range(count):
            model[to + i] = moved[i]

    @rule(n=st.integers(0, 3), at=PLACES, value=st.integers(1, 255))
    def write(self, n, at, value):
        p, model = self.pick(n)
        page = model.get(at)
        signal = self.stored(p, at, value)
        if page is None or not page.prot & mmap.PROT_WRITE:
            assert signal == "SIGSEGV"
        elif page.beyond:
            assert signal == "SIGBUS"
        else:
            assert not signal
            if page.kind in ("private", "device-private"):
                model[at] = page = Page("private", {}, 0, page.prot)
            page.store[page.index] = value

    def stored(self, p, at, value):
        try:
            p.store(BASE + at * PAGE + 7, bytes([value]))
        except kmock.UserSignal as signal:
            return signal.signal
        return ""

    @rule(n=st.integers(0, 3), at=PLACES)
    def forget(self, n, at):
        p, model = self.pick(n)
        page = model.get(at)
        if page is not None and page.kind == "private":
            vma = p.mm.vma_lookup(BASE + at * PAGE)
            p.madvise(BASE + at * PAGE, PAGE, 4)
            if vma.vm_file is None:
                page = Page("private", {}, 0, page.prot)
            else:
                page = Page("device-private", self.device, vma.pgoff_of(BASE + at * PAGE), page.prot)
            model[at] = page

    @rule(index=st.integers(0, DEVICE_PAGES - 1), value=st.integers(1, 255))
    def driver_writes(self, index, value):
        page_address(self.pages[index])[7] = value
        self.device[index] = value

    @rule(n=st.integers(0, 3))
    def fork(self, n):
        if len(self.processes) < 4:
            p, model = self.pick(n)
            copies = {}
            for at, page in model.items():
                copies[at] = page.copy()
                if page.kind == "private":
                    copies[at].store = dict(page.store)
            self.add(p.fork(), copies)

    @rule(n=st.integers(0, 3))
    def exit(self, n):
        if len(self.processes) > 1:
            p, _ = self.pick(n)
            p.exit()
            del self.processes[p]
            assert p.mm.rss == [0, 0, 0, 0]
            assert not p.mm.tables

    @invariant()
    def everybody_sees_what_is_theirs(self):
        for p, model in getattr(self, "processes", {}).items():
            for at in range(ROOM + 6):
                expected = model[at].read() if at in model else "SIGSEGV"
                try:
                    seen = p.load(BASE + at * PAGE + 7, 1)[0]
                except kmock.UserSignal as signal:
                    seen = signal.signal
                assert seen == expected, (p, at)

    @invariant()
    def references_are_mappings_and_the_drivers_own(self):
        for i, page in enumerate(getattr(self, "pages", ())):
            shown = [
                entry
                for p in self.processes
                for entry in p.mm.pgd.entries.values()
                if entry >> 12 & 0xFFFFFF == page.pfn
            ]
            assert (page._refcount, page.mapcount) == (1 + len(shown), len(shown)), i

    def teardown(self):
        if not hasattr(self, "k"):
            return
        for p in self.processes:
            p.exit()
        assert self.counts[0] == self.counts[1]
        assert [(page._refcount, page.mapcount) for page in self.pages] == [(1, 0)] * DEVICE_PAGES
        for page in self.pages:
            free_one_page(page)
        misc_deregister(self.misc)
        self.k.shutdown()
        assert not self.k.reports.unexpected


TestAddressSpaces = Machine.TestCase
TestAddressSpaces.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
