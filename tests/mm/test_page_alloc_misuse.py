"""Whatever a driver does to pages, it is the driver that is blamed: kmock itself does not break."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

import kmock
from kmock.errors import ReportedError
from kmock.linux.gfp import (
    __GFP_COMP,
    __GFP_NOWARN,
    GFP_ATOMIC,
    GFP_DMA,
    GFP_HIGHUSER,
    GFP_KERNEL,
    __free_pages,
    alloc_pages,
    alloc_pages_exact,
    free_pages,
    free_pages_exact,
    page_frag_alloc,
    page_frag_cache,
)
from kmock.linux.highmem import kmap, kmap_local_page, kunmap, kunmap_local
from kmock.linux.mm import get_page, page_address, put_page, split_page
from kmock.linux.slab import kfree, kmalloc

MACHINES = ("default", "tiny", "highmem", "numa2")
CMDLINES = ("", "page_poison=1", "init_on_free=1", "debug_pagealloc=on")
FLAGS = (GFP_KERNEL, GFP_ATOMIC, GFP_KERNEL | __GFP_COMP, GFP_HIGHUSER, GFP_DMA)
OFFSETS = (0, 0, 0, 8, 4096)


class Driver:
    """A driver that gets everything wrong."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pages: list[Any] = []
        self.buffers: list[Any] = []
        self.windows: list[Any] = []
        self.steps = [getattr(self, name) for name in sorted(vars(Driver)) if name.startswith("step_")]

    def one_of(self, things):
        return self.random.choice(things)

    def step_alloc(self):
        if page := alloc_pages(self.one_of(FLAGS) | QUIET, self.random.randrange(5)):
            self.pages.append(page)

    def step_alloc_exact(self):
        self.buffers.append(alloc_pages_exact(self.random.randrange(1, 40000), GFP_KERNEL))

    def step_kmalloc(self):
        self.buffers.append(kmalloc(self.one_of((64, 100, 9000, 20000)), GFP_KERNEL))

    def step_free(self):
        give_back(self.one_of(self.pages) + self.one_of((0, 0, 1)), self.random.randrange(5))

    def step_put(self):
        put_page(self.one_of(self.pages) + self.one_of((0, 1)))

    def step_get(self):
        get_page(self.one_of(self.pages))

    def step_split(self):
        split_page(self.one_of(self.pages), self.random.randrange(3))

    def step_free_address(self):
        free_pages(self.one_of(self.buffers) + self.one_of(OFFSETS), self.random.randrange(4))

    def step_free_exact(self):
        free_pages_exact(self.one_of(self.buffers), self.random.randrange(1, 40000))

    def step_map(self):
        self.windows.append(self.one_of((kmap, kmap_local_page))(self.one_of(self.pages)))

    def step_unmap(self):
        self.one_of((kunmap, kunmap_local))(self.one_of(self.windows))

    def step_scribble(self):
        page = self.one_of(self.pages)
        page.mapping = self.one_of((None, 0x1000))
        page.flags ^= 1 << self.random.randrange(20)

    def step_store(self):
        if buf := page_address(self.one_of(self.pages)):
            buf[0:8] = b"12345678"


QUIET = __GFP_NOWARN
give_back = __free_pages  # a class would mangle the name


@pytest.mark.parametrize("seed", range(40))
def test_a_driver_that_gets_everything_wrong_ends_in_reports(seed):
    driver = Driver(seed)
    options = {"debug_vm": seed % 2 == 0, "kasan": seed % 3 == 0}
    with kmock.boot(machine=MACHINES[seed % 4], cmdline=CMDLINES[seed // 4 % 4], **options) as k:
        for _ in range(80):
            with suppress(ReportedError, IndexError):  # IndexError: there is nothing yet to do it to
                driver.random.choice(driver.steps)()
        k.page_alloc.drain_all_pages()
    assert k.reports
    assert all(report.kind for report in k.reports)


def test_a_page_where_its_address_is_asked_for():
    with kmock.boot() as k:
        page = alloc_pages(GFP_KERNEL, 0)
        with k.expect("virt-to-page-bad"), pytest.raises(kmock.KernelOops):
            free_pages(page, 0)
        __free_pages(page, 0)


def test_a_piece_of_a_page_is_not_for_kfree():
    with kmock.boot() as k:
        cache = page_frag_cache()
        piece = page_frag_alloc(cache, 100, GFP_KERNEL)
        with k.expect("kfree-of-page") as found:
            kfree(piece)
        assert found[0].headline.startswith("BUG: KASAN: invalid-free in kfree")
