"""``kernel.faults``: classes of faults, and the n-th call that can fail."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.err import PTR_ERR
from kmock.linux.errno import ENOMEM
from kmock.linux.fs import alloc_chrdev_region, file_operations
from kmock.linux.gfp import __GFP_NOFAIL, GFP_ATOMIC, GFP_KERNEL, __free_pages, alloc_pages
from kmock.linux.interrupt import IRQ_HANDLED, request_irq
from kmock.linux.kthread import kthread_run
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.slab import kfree, kmalloc, kmem_cache_create, kmem_cache_destroy


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def pattern(calls):
    out = ""
    for call in calls:
        p = call()
        out += "." if p else "X"
        kfree(p)
    return out


def kernel_calls(n):
    return [lambda: kmalloc(64, GFP_KERNEL)] * n


def test_nothing_is_active_on_a_fresh_machine(k):
    assert not k.faults.active
    assert k.faults.points == []


def test_the_kernels_defaults_hold_for_what_is_not_named(k):
    attr = k.faults.failslab()
    assert (attr.probability, attr.interval, attr.times, attr.space, attr.ignore_gfp_wait) == (100, 1, 1, 0, True)
    assert kmalloc(64, GFP_KERNEL), "calls that may reclaim are spared"
    assert not kmalloc(64, GFP_ATOMIC)
    assert attr.times == 0
    assert kmalloc(64, GFP_ATOMIC)


def test_failslab_fails_what_it_is_told_to(k):
    k.faults.failslab(ignore_gfp_wait=False, times=2)
    assert pattern(kernel_calls(4)) == "XX.."
    k.faults.failslab(ignore_gfp_wait=False, times=-1)
    assert pattern(kernel_calls(3)) == "XXX"
    assert kmalloc(64, GFP_KERNEL | __GFP_NOFAIL)
    k.faults.clear()
    assert not k.faults.active
    assert pattern(kernel_calls(3)) == "..."


def test_a_second_call_starts_afresh(k):
    k.faults.failslab(ignore_gfp_wait=False, times=-1)
    assert k.faults.failslab(times=3).ignore_gfp_wait


def test_fail_page_alloc_spares_single_pages_unless_told(k):
    k.faults.fail_page_alloc(ignore_gfp_wait=False, times=-1)
    page = alloc_pages(GFP_KERNEL, 0)
    assert page
    assert not alloc_pages(GFP_KERNEL, 1)
    __free_pages(page, 0)
    k.faults.fail_page_alloc(ignore_gfp_wait=False, times=-1, min_order=0)
    assert not alloc_pages(GFP_KERNEL, 0)


def test_a_forced_failure_says_so_in_the_log(k):
    k.faults.failslab(ignore_gfp_wait=False)
    assert not kmalloc(64, GFP_KERNEL)
    log = k.dmesg()
    assert "FAULT_INJECTION: forcing a failure.\n" in log
    assert "name failslab, interval 1, probability 100, space 0, times 1\n" in log
    assert "test_a_forced_failure_says_so_in_the_log" in log
    assert list(k.reports) == [], "a failure that was asked for is no finding"


def test_a_failed_allocation_remembers_its_call(k):
    k.faults.failslab(ignore_gfp_wait=False)
    p = kmalloc(64, GFP_KERNEL)
    with k.expect("slab-null-unchecked"), pytest.raises(kmock.KernelOops):
        p[0] = 1


@pytest.mark.parametrize(
    ("attributes", "error", "sentence"),
    [
        ({"probabilty": 5}, TypeError, "failslab() has no attribute 'probabilty': did you mean 'probability'?"),
        ({"min_order": 5}, TypeError, "failslab() has no attribute 'min_order'"),
        ({"probability": 0.5}, ValueError, "failslab(probability=0.5): a whole number from 0 on is expected"),
        ({"times": -2}, ValueError, "failslab(times=-2): a whole number from -1 on is expected"),
    ],
)
def test_mistakes_are_told_in_one_sentence(k, attributes, error, sentence):
    with pytest.raises(error, match=sentence.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        k.faults.failslab(**attributes)
    assert not k.faults.active


def test_boot_arguments_arm_a_class():
    with kmock.boot(cmdline="failslab=1,100,0,-1") as k:
        assert not kmalloc(64, GFP_ATOMIC)
        assert k.read_file("/sys/kernel/debug/failslab/times") == "-1\n"


def test_attributes_and_files_are_one_thing(k):
    k.faults.failslab(ignore_gfp_wait=False, times=5)
    assert k.read_file("/sys/kernel/debug/failslab/times") == "5\n"
    k.write_file("/sys/kernel/debug/failslab/probability", "0")
    assert not k.faults.active
    k.write_file("/sys/kernel/debug/failslab/probability", "100")
    assert pattern(kernel_calls(1)) == "X"


# --- the n-th call -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_nth_call_fails_once(k, n):
    k.faults.fail_nth(n)
    assert pattern(kernel_calls(6)) == "".join("X" if i == n else "." for i in range(1, 7))
    assert not k.faults.active
    assert not k.vetting


def test_calls_that_cannot_fail_do_not_count(k):
    k.faults.fail_nth(2)
    calls = [
        lambda: kmalloc(64, GFP_KERNEL | __GFP_NOFAIL),
        lambda: kmalloc(0, GFP_KERNEL),
        *kernel_calls(3),
    ]
    assert pattern(calls) == "...X."


def test_a_public_call_counts_once_whatever_it_allocates(k):
    k.faults.fail_nth(2)
    cache = kmem_cache_create("faulty", 100, 0, 0, None)
    assert cache
    assert pattern(kernel_calls(2)) == "X."
    kmem_cache_destroy(cache)


def test_a_chosen_call_fails_as_a_whole(k):
    k.faults.fail_nth(1)
    assert not kmem_cache_create("faulty", 100, 0, 0, None)


def test_pages_count_like_objects(k):
    k.faults.fail_nth(2)
    kfree(kmalloc(64, GFP_KERNEL))
    assert not alloc_pages(GFP_KERNEL, 0)


def test_zero_takes_it_back(k):
    k.faults.fail_nth(1)
    k.faults.fail_nth(0)
    assert not k.faults.active
    assert pattern(kernel_calls(2)) == ".."
    with pytest.raises(ValueError, match="the first call that can fail is 1"):
        k.faults.fail_nth(-1)


def test_interrupts_are_spared(k):
    k.faults.fail_nth(1)
    with k.hardirq():
        p = kmalloc(64, GFP_ATOMIC)
        assert p
        kfree(p)
    assert pattern(kernel_calls(2)) == "X."


def test_points_tell_which_calls_can_fail_and_where(k):
    k.faults.fail_nth(100)
    for _ in range(3):
        kfree(kmalloc(64, GFP_KERNEL))
    page = alloc_pages(GFP_KERNEL, 1)
    __free_pages(page, 1)
    points = k.faults.points
    assert [(point.call, point.count) for point in points] == [("kmalloc", 3), ("alloc_pages", 1)]
    assert all(point.site.file == __file__ for point in points)
    assert points[0].site.source == "kfree(kmalloc(64, GFP_KERNEL))"
    assert k.faults.calls_left == 96


def test_a_sweep_ends_when_calls_are_left(k):
    def probe():
        a = kmalloc(64, GFP_KERNEL)
        if not a:
            return "first"
        b = kmalloc(64, GFP_KERNEL)
        kfree(a)
        kfree(b)
        return "both" if b else "second"

    outcomes = []
    for n in range(1, 10):
        k.faults.fail_nth(n)
        outcomes.append(probe())
        if k.faults.calls_left:
            break
    assert outcomes == ["first", "second", "both"]


def test_watching_notes_points_and_fails_nothing(k):
    k.faults.watch()
    kfree(kmalloc(64, GFP_KERNEL))
    assert [point.call for point in k.faults.points] == ["kmalloc"]
    k.faults.clear()
    assert k.faults.points == []
    assert not k.faults.active
    assert not k.vetting


def handler(irq, dev_id):
    return IRQ_HANDLED


REGISTRATIONS = {
    "request_irq": lambda: request_irq(9, handler, 0, "faulty", None),
    "kthread_run": lambda: PTR_ERR(kthread_run(lambda data: 0, None, "faulty")),
    "misc_register": lambda: misc_register(miscdevice(name="faulty", fops=file_operations())),
    "alloc_chrdev_region": lambda: alloc_chrdev_region(0, 1, "faulty")[0],
}


@pytest.mark.parametrize("call", REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_what_keeps_books_of_its_own_can_run_out_of_memory(k, call):
    k.faults.fail_nth(1)
    assert call() == -ENOMEM
    assert k.faults.calls_left == 0


def test_another_tasks_calls_neither_fail_nor_count(k):
    seen = []

    def other(data):
        p = kmalloc(64, GFP_KERNEL)
        seen.append(bool(p))
        kfree(p)
        return 0

    kthread_run(other, None, "other")
    k.faults.fail_nth(1)
    k.run()
    assert seen == [True]
    assert pattern(kernel_calls(2)) == "X."
