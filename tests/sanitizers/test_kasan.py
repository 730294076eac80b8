"""Bad accesses: their kinds, headlines, texts, and that each is reported once."""

from __future__ import annotations

from itertools import pairwise

import pytest

import kmock
from kmock.linux.err import ERR_PTR
from kmock.linux.gfp import GFP_KERNEL, alloc_page, free_page, get_zeroed_page
from kmock.linux.mm import page_address
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import NULL, Ptr
from kmock.linux.vmalloc import vfree, vmalloc


def reports(body, **boot):
    """Return what is reported when ``body(k)`` runs on a machine of its own, up to where it oopses."""
    with kmock.boot(**boot) as k:
        try:
            body(k)
        except (kmock.KernelOops, kmock.KernelPanic) as end:
            assert end.report in k.reports
        return list(k.reports)


def touch_after(n, offset, size=1):
    def body(k):
        # What lies before the first object of a slab is another page's.
        first = kmalloc(n, GFP_KERNEL)
        p = kmalloc(n, GFP_KERNEL)
        p[offset : offset + size]
        kfree(p)
        kfree(first)

    return body


class TestSlab:
    @pytest.mark.parametrize(
        ("n", "offset", "size", "kind", "place"),
        [
            (64, 64, 1, "slab-out-of-bounds-right", "0 bytes to the right of"),
            (64, 60, 8, "slab-out-of-bounds-right", "60 bytes inside of"),
            (64, -1, 1, "slab-out-of-bounds-left", "1 bytes to the left of"),
            (50, 50, 1, "slab-slack-access", "50 bytes inside of"),
            (50, 63, 1, "slab-slack-access", "63 bytes inside of"),
            (50, 64, 1, "slab-out-of-bounds-right", "0 bytes to the right of"),
        ],
    )
    def test_beside_an_object(self, n, offset, size, kind, place):
        (report,) = reports(touch_after(n, offset, size))
        assert report.kind == kind
        assert report.headline.startswith("BUG: KASAN: slab-out-of-bounds in body+0x")
        assert f"Read of size {size} at addr" in report.lines[0]
        assert f"The buggy address is located {place}" in report.lines

    def test_inside_there_is_nothing_to_say(self):
        assert not reports(touch_after(64, 0, 64))

    def test_after_free(self):
        def body(k):
            p = kmalloc(64, GFP_KERNEL)
            kfree(p)
            p[5]
            p[6] = 1

        (report,) = reports(body)
        assert report.kind == "slab-use-after-free-read"
        assert report.headline.startswith("BUG: KASAN: use-after-free in body+0x")
        assert set(report.stacks) == {"access", "allocated", "freed"}
        assert len(report.followed_by) == 1

    def test_multi_shot_reports_each(self):
        def body(k):
            p = kmalloc(64, GFP_KERNEL)
            kfree(p)
            p[5]
            p[6] = 1

        kinds = [r.kind for r in reports(body, cmdline="kasan_multi_shot")]
        assert kinds == ["slab-use-after-free-read", "slab-use-after-free-write"]

    def test_without_kasan_provenance_still_tells(self):
        (report,) = reports(touch_after(64, 64), kasan=False)
        assert report.kind == "slab-out-of-bounds-right"
        assert report.headline.startswith("BUG: kmock: slab-out-of-bounds-right in body+0x")

    def test_memory_with_a_new_owner(self):
        def body(k):
            p = kmalloc(64, GFP_KERNEL)
            kfree(p)
            q = kmalloc(64, GFP_KERNEL)
            assert q == p
            p[0] = 1
            kfree(q)

        (report,) = reports(body, kasan=False)
        assert report.kind == "slab-use-after-reuse"
        assert set(report.stacks) == {"access", "allocated", "freed", "owner allocated"}

    def test_the_shadow_of_the_object_and_its_redzone(self):
        with kmock.boot() as k:
            p = kmalloc(20, GFP_KERNEL)
            assert [k.kasan.shadow(int(p) + i) for i in (0, 8, 16, 24, 32)] == [0, 0, 4, 0xFC, 0xFC]
            kfree(p)
            assert [k.kasan.shadow(int(p) + i) for i in (0, 8, 24)] == [0xFA, 0xFB, 0xFB]

    def test_the_rows_point_at_the_byte(self):
        (report,) = reports(touch_after(64, 64))
        rows = report.lines[report.lines.index("Memory state around the buggy address:") + 1 :]
        at = next(i for i, row in enumerate(rows) if row.startswith(">"))
        column = rows[at + 1].index("^")
        assert rows[at][column : column + 2] == "fc"


class TestPages:
    def test_after_free(self):
        def body(k):
            p = get_zeroed_page(GFP_KERNEL)
            free_page(p)
            p[0]

        (report,) = reports(body)
        assert report.kind == "page-use-after-free"
        assert report.headline.startswith("BUG: KASAN: use-after-free in body")

    def test_past_the_end_into_a_neighbour(self):
        def body(k):
            pages = sorted((alloc_page(GFP_KERNEL) for _ in range(8)), key=lambda page: page.pfn)
            one = next(page for page, after in pairwise(pages) if after.pfn == page.pfn + 1)
            page_address(one)[4096] = 1

        found = [r for r in reports(body) if r.kind == "page-out-of-bounds"]
        assert [r.headline[:29] for r in found] == ["BUG: kmock: page-out-of-bound"]


class TestVmalloc:
    def test_the_slack_of_the_last_page(self):
        def body(k):
            p = vmalloc(100)
            p[100]
            vfree(p)

        (report,) = reports(body)
        assert report.kind == "vmalloc-out-of-bounds"
        assert report.headline.startswith("BUG: KASAN: vmalloc-out-of-bounds in body")

    def test_the_guard_page_and_freed_areas_fault(self):
        def guard(k):
            vmalloc(4096)[4096] = 1

        def freed(k):
            p = vmalloc(4096)
            vfree(p)
            p[0]

        assert reports(guard)[0].kind == "vmalloc-out-of-bounds"
        assert reports(freed)[0].kind == "vmalloc-use-after-free"


class TestFaults:
    @pytest.mark.parametrize(
        ("address", "kind", "first", "second"),
        [
            (0, "null-deref", "BUG: KASAN: null-ptr-deref in", "BUG: kernel NULL pointer dereference, address: "),
            (0xFFF, "null-deref", "BUG: KASAN: null-ptr-deref in", "BUG: kernel NULL pointer dereference, address: "),
            (0x1000, "wild-pointer-deref", "BUG: KASAN: user-memory-access in", "BUG: unable to handle page fault for"),
            (0xDEAD000000000100, "wild-pointer-deref", "BUG: KASAN: wild-memory-access in", "general protection fault"),
            (0xFFFF888800000000, "wild-pointer-deref", "BUG: unable to handle page fault for", "#PF: supervisor read"),
        ],
    )
    def test_wild_pointers(self, address, kind, first, second):
        (report,) = reports(lambda k: Ptr(address)[0])
        assert report.kind == kind
        assert report.headline.startswith(first)
        assert any(line.startswith(second) for line in report.lines)

    def test_an_errno_is_no_memory(self):
        (report,) = reports(lambda k: ERR_PTR(-12)[0])
        assert report.kind == "err-ptr-deref"
        assert report.headline == "BUG: unable to handle page fault for address: fffffffffffffff4"

    def test_the_null_of_a_failed_allocation_names_it(self):
        def body(k, offset=0):
            k.faults.fail_nth(1)
            kmalloc(1 << 14, GFP_KERNEL)[offset]

        (far,) = reports(lambda k: body(k, 8192))
        assert far.kind == "slab-null-unchecked"
        (report,) = reports(body)
        assert report.kind == "slab-null-unchecked"
        assert set(report.stacks) == {"access", "allocated"}

    def test_zero_bytes_have_no_first(self):
        (report,) = reports(lambda k: kmalloc(0, GFP_KERNEL)[0])
        assert report.kind == "slab-zero-size-deref"

    def test_a_user_pointer_is_for_copies(self):
        (report,) = reports(lambda k: Ptr(k.user().buffer(16))[0])
        assert report.kind == "user-pointer-deref"
        assert "#PF: error_code(0x0001) - permissions violation" in report.lines

    def test_an_interrupt_cannot_be_ended_by_itself(self):
        def body(k):
            with k.hardirq():
                NULL[0] = 1

        with kmock.boot() as k, pytest.raises(kmock.KernelPanic):
            body(k)
        assert k.reports[0].lines[-1] == "Kernel panic - not syncing: Fatal exception in interrupt"

    def test_read_only_memory_and_text(self):
        for place in (lambda k: k.image.rodata(b"abc"), lambda k: k.image.text("printk")):
            (report,) = reports(lambda k, place=place: place(k).__setitem__(0, 1))
            assert report.kind == "wild-pointer-deref"
            assert "#PF: error_code(0x0003) - permissions violation" in report.lines

    def test_debug_pagealloc_unmaps_free_pages(self):
        def body(k):
            p = get_zeroed_page(GFP_KERNEL)
            free_page(p)
            p[0]

        (report,) = reports(body, cmdline="debug_pagealloc=on")
        assert report.kind == "page-use-after-free"
        assert any(line.startswith("BUG: unable to handle page fault") for line in report.lines)


class TestGlobals:
    def test_contents_and_bounds(self):
        def body(k):
            table = k.image.rodata(b"abc", "table")
            assert table[0:3] == b"abc"
            table[3]

        (report,) = reports(body)
        assert report.kind == "global-out-of-bounds"
        assert " table+0x3" in report.lines

    def test_two_variables_do_not_overlap(self):
        with kmock.boot() as k:
            a, b = k.image.data(100), k.image.data(100)
            a[0:100] = b"a" * 100
            b[0:100] = b"b" * 100
            assert a[0:100] == b"a" * 100


class TestLint:
    def test_misaligned_loads_are_advice(self):
        def body(k):
            p = kmalloc(64, GFP_KERNEL)
            p[0:8] = bytes(8)
            (p + 1).u32[0]
            p.u32[1]
            kfree(p)

        assert [r.kind for r in reports(body, lint=True)] == ["misaligned-access"]
        assert not reports(body)
