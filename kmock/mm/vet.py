"""Mistakes in allocating and freeing pages that the kernel does not see, or sees only under pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.task import PF_MEMALLOC
from kmock.mm.gfp import __GFP_ATOMIC, __GFP_DIRECT_RECLAIM, __GFP_NORETRY, gfp_text
from kmock.mm.page import Page, PageBlock, PG_head, PG_slab

if TYPE_CHECKING:
    from kmock.machine import Kernel


def vet_gfp(k: Kernel, gfp: int) -> None:
    """Report flags of a driver's allocation that contradict each other or the context."""
    kind, why, at = "gfp-contradictory", "", ""
    if gfp & __GFP_ATOMIC and gfp & __GFP_DIRECT_RECLAIM:
        why, at = "__GFP_ATOMIC says that it can't sleep, __GFP_DIRECT_RECLAIM that it may", "mm/page_alloc.c:5118"
    elif gfp & __GFP_NORETRY:
        why = "__GFP_NOFAIL never gives up, __GFP_NORETRY gives up at once"
    elif not gfp & __GFP_DIRECT_RECLAIM:
        kind, why, at = "gfp-nofail-misuse", "__GFP_NOFAIL must wait, and may not sleep", "mm/page_alloc.c:5367"
    elif k.current.flags & PF_MEMALLOC:
        kind, why, at = "gfp-nofail-misuse", "__GFP_NOFAIL in a task that may not reclaim", "mm/page_alloc.c:5375"
    if why:
        headline = f"BUG: kmock: {kind} in {k.symbol(k.capture())}"
        k.report(kind, headline, lines=[f"gfp: {gfp:#x}({gfp_text(gfp)})", why], key=(at, gfp))


def lint_atomic(k: Kernel, gfp: int) -> None:
    """Report ``GFP_ATOMIC`` where nothing keeps the caller from sleeping."""
    cpu = k.cpu
    task = cpu.task
    if gfp & __GFP_ATOMIC and not (cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block):
        stack = k.capture()
        headline = f"BUG: kmock: gfp-atomic-needless in {k.symbol(stack)}"
        k.report("gfp-atomic-needless", headline, stacks={"access": stack}, key=stack)


def wrong_free(page: Page, order: int, call: str) -> str:
    """Return the kind of mistake that ``call`` makes in freeing ``1 << order`` pages, "" for none."""
    if page.flags >> PG_slab & 1:
        return "page-put-slab" if call == "put_page" else "free-pages-of-kmalloc"
    block = page.owner
    mine = block.__class__ is PageBlock and block.live
    if page._refcount <= 0:
        if mine and block.page is not page:
            return "page-free-tail"
        return "page-refcount-overput" if call == "put_page" else "page-double-free"
    if not mine:
        return ""
    return _wrong_call(page, block, order, call)


def _wrong_call(page: Page, block: PageBlock, order: int, call: str) -> str:
    if block.call == "alloc_pages_exact":
        return "page-exact-mismatch"
    if block.page is not page:
        return "page-free-tail"
    if block.call == "mempool_alloc":
        return "kfree-of-mempool"
    if block.call == "kmalloc" and call != "put_page" and order == page.order:
        return "kfree-of-compound-page"
    if block.undo == "dma_free_coherent" and page._refcount == 1:
        return "kfree-of-coherent"
    # Once __free_pages() has let the rest go, the first page is left for the last put_page().
    if call == "put_page" and (page._refcount > 1 or block.released_by):
        return ""
    if page.flags >> PG_head & 1:
        return "page-free-order-compound" if order != page.order else ""
    if order == block.order:
        return ""
    return "page-free-order-small" if order < block.order else "page-free-order-large"
