"""Fault injection, as recorded: attributes, classes, fail-nth."""

from __future__ import annotations

import re

from kmock.linux.bottom_half import local_bh_disable, local_bh_enable
from kmock.linux.fault_inject import fault_attr, should_fail
from kmock.linux.gfp import (
    __GFP_NOFAIL,
    __GFP_NOWARN,
    GFP_ATOMIC,
    GFP_HIGHUSER,
    GFP_KERNEL,
    GFP_NOWAIT,
    __free_pages,
    __get_free_pages,
    alloc_page,
    alloc_pages,
    free_pages,
)
from kmock.linux.mempool import mempool_alloc, mempool_create_kmalloc_pool, mempool_destroy, mempool_free
from kmock.linux.mm import is_vmalloc_addr
from kmock.linux.percpu import __alloc_percpu_gfp, free_percpu
from kmock.linux.slab import (
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_free,
    kvfree,
    kvmalloc,
    kzalloc,
)
from kmock.linux.types import u8
from kmock.linux.uaccess import (
    __copy_from_user_inatomic,
    clear_user,
    copy_from_user,
    copy_to_user,
    get_user,
    raw_copy_from_user,
    strncpy_from_user,
)
from kmock.linux.vmalloc import __vmalloc, vfree
from tests.conformance.recordings import recorded
from tests.conformance.replay import scenario

DEBUGFS = "/sys/kernel/debug"
FAIL_NTH = "/proc/self/task/{tid}/fail-nth"


# --- attributes ----------------------------------------------------------------------------------------------------------


def pattern(calls):
    return "".join("X" if failed else "." for failed in calls)


@scenario("context.fault-attr-table")
def attr_table(k, s):
    for setting in s.observed:
        numbers = dict(pair.split("=") for pair in setting.replace("prob=", "probability=").split(","))
        size = int(numbers.pop("size"))
        fa = fault_attr(verbose=0, **{name: int(value) for name, value in numbers.items()})
        calls = pattern(should_fail(fa, size) for _ in range(20))
        s.check(setting, f"{calls} times_left:{fa.times} space_left:{fa.space}")


@scenario("context.fault-attr-task-filter")
def attr_task_filter(k, s):
    fa = fault_attr(probability=100, interval=1, times=-1, space=0, task_filter=True, verbose=0)

    def in_ctx():
        s.check("in_ctx", pattern(should_fail(fa, 1) for _ in range(5)))

    in_ctx()
    k.current.make_it_fail = True
    in_ctx()
    with k.hardirq():
        in_ctx()
    local_bh_disable()
    in_ctx()
    local_bh_enable()


@scenario("context.failslab-attributes")
def attributes(k, s):
    for file, value in s.observed.items():
        shown = k.read_file(f"{DEBUGFS}/failslab/{file}").strip()
        s.check(file, shown if isinstance(value, str) else int(shown))


# --- classes: the same call twenty times -----------------------------------------------------------------------------------


def slab(size, gfp):
    return lambda i: kmalloc(size, gfp), lambda p, i: kfree(p)


def pages(gfp, order=lambda i: 0):
    return lambda i: alloc_pages(gfp, order(i)), lambda p, i: __free_pages(p, order(i))


def calls():
    """What the recordings call twenty times, by their own words; and how each is undone."""
    cache200 = kmem_cache_create("orc_fault", 200, 0, 0, None)
    return {
        "20 x p[i] = kmalloc(64, GFP_KERNEL)": slab(64, GFP_KERNEL),
        "20 x p[i] = kmalloc(64, GFP_ATOMIC)": slab(64, GFP_ATOMIC),
        "20 x p[i] = kmalloc(64, GFP_KERNEL | __GFP_NOFAIL)": slab(64, GFP_KERNEL | __GFP_NOFAIL),
        "20 x p[i] = kmalloc(100, GFP_KERNEL)": slab(100, GFP_KERNEL),
        "20 x p[i] = kmalloc(20000, GFP_KERNEL)": slab(20000, GFP_KERNEL),
        "20 calls: even i kmalloc(64, GFP_KERNEL), odd i kmem_cache_alloc(cache200, GFP_KERNEL)": (
            lambda i: kmem_cache_alloc(cache200, GFP_KERNEL) if i % 2 else kmalloc(64, GFP_KERNEL),
            lambda p, i: kmem_cache_free(cache200, p) if i % 2 else kfree(p),
        ),
        "20 x __alloc_percpu_gfp(8, 8, GFP_KERNEL)": (
            lambda i: __alloc_percpu_gfp(8, 8, GFP_KERNEL),
            lambda p, i: free_percpu(p),
        ),
        "20 x kvmalloc(64, GFP_KERNEL)": (lambda i: kvmalloc(64, GFP_KERNEL), lambda p, i: kvfree(p)),
        "20 x kvmalloc(20000, GFP_KERNEL)": (lambda i: kvmalloc(20000, GFP_KERNEL), lambda p, i: kvfree(p)),
        "20 x __vmalloc(4096, GFP_KERNEL)": (lambda i: __vmalloc(4096, GFP_KERNEL), lambda p, i: vfree(p)),
        "20 x alloc_pages(GFP_KERNEL, 0)": pages(GFP_KERNEL),
        "20 x alloc_pages(GFP_KERNEL, 1)": pages(GFP_KERNEL, lambda i: 1),
        "20 x alloc_pages(GFP_ATOMIC, 1)": pages(GFP_ATOMIC, lambda i: 1),
        "20 x alloc_pages(GFP_KERNEL, i % 4)": pages(GFP_KERNEL, lambda i: i % 4),
        "20 x alloc_pages(GFP_HIGHUSER, 0)": pages(GFP_HIGHUSER),
        "20 x alloc_pages(GFP_KERNEL | __GFP_NOFAIL, 0)": pages(GFP_KERNEL | __GFP_NOFAIL),
        "20 x alloc_pages(GFP_KERNEL | __GFP_NOWARN, 0)": pages(GFP_KERNEL | __GFP_NOWARN),
    }


def settings(s):
    """The class of faults and the values that a recording's steps write to its files."""
    for step in s.steps:
        if found := re.match(rf"# {DEBUGFS}/(\w+): (.*)", step):
            return found[1], dict(re.findall(r"([\w-]+)=(-?\w+)", found[2]))
    raise AssertionError(f"{s.id} sets nothing")


def arm(k, s):
    name, values = settings(s)
    for file, value in values.items():
        k.write_file(f"{DEBUGFS}/{name}/{file}", f"{value}\n")
    k.write_file("/proc/self/make-it-fail", "1\n")
    return name


def warm_up():
    # The recorded kernel had been up for a while: its caches had a slab with free objects.
    for size in (64, 128):
        kfree(kmalloc(size, GFP_KERNEL))
    vfree(__vmalloc(4096, GFP_KERNEL))


def repeated(k, s):
    known = calls()
    call, undo = next(known[step] for step in s.steps if step in known)
    warm_up()
    name = arm(k, s)
    got = [call(i) for i in range(20)]
    s.check("pattern", pattern(not p for p in got))
    for attribute in ("times", "space"):
        s.check(f"{attribute}_after", int(k.read_file(f"{DEBUGFS}/{name}/{attribute}")))
    k.faults.clear()
    for i, p in enumerate(got):
        if p:
            undo(p, i)


def of_steps(word):
    return [r.id for r in recorded("faults").values() if any(word in step for step in r.steps)]


TWENTY = [id for id in of_steps("20 x") + of_steps("20 calls") if "attr-table" not in id]
PLAIN = [id for id in TWENTY if "kmemleak-on" not in id and "fail-page-vmalloc" not in id]
scenario(*PLAIN, boot={"kmemleak": False})(repeated)

FULL_CACHE = "the recorded machine's cache of vmap_area had no free object left and asked for a page first"


@scenario(
    "context.fail-page-vmalloc",
    boot={"kmemleak": False},
    except_headlines=dict.fromkeys(("FAULT_INJECTION", "vm_struct allocation failed", "SLUB: Unable"), FULL_CACHE),
)
def pages_of_an_area(k, s):
    warm_up()
    name = arm(k, s)
    # The pages themselves may lie in highmem, and such calls are spared.
    got = [__vmalloc(4096, GFP_KERNEL) for _ in range(20)]
    assert all(got)
    s.except_("pattern", FULL_CACHE)
    for attribute in ("times", "space"):
        s.check(f"{attribute}_after", int(k.read_file(f"{DEBUGFS}/{name}/{attribute}")))
    k.faults.clear()
    for p in got:
        vfree(p)


@scenario("context.kmemleak-on-failslab-interval-3")
def with_kmemleak(k, s):
    repeated(k, s)


@scenario("context.fail-page-kvmalloc-fallback", boot={"kmemleak": False})
def kvmalloc_fallback(k, s):
    warm_up()
    name = arm(k, s)
    p = kvmalloc(20000, GFP_KERNEL)
    s.check("returned", p)
    s.check("is_vmalloc", is_vmalloc_addr(p))
    for attribute in ("times", "space"):
        s.check(f"{attribute}_after", int(k.read_file(f"{DEBUGFS}/{name}/{attribute}")))
    k.faults.clear()
    kvfree(p)


# --- fail-nth --------------------------------------------------------------------------------------------------------------


def spare_nothing(k):
    for file in ("failslab/ignore-gfp-wait", "fail_page_alloc/ignore-gfp-wait"):
        k.write_file(f"{DEBUGFS}/{file}", "N\n")
    k.write_file(f"{DEBUGFS}/fail_page_alloc/min-order", "0\n")


def row_of_calls(k, s):
    """Eight calls, of which the n-th that can fail does."""
    if any("min-order=0" in step for step in s.steps):
        spare_nothing(k)
    warm_up()
    n = next(found[1] for step in s.steps if (found := re.match(r'write "(\d+)"', step)))
    path = FAIL_NTH.format(tid=k.current.pid)
    s.check("fail_nth_before", int(k.read_file(path)))
    k.write_file(path, n)
    a = kmalloc(64, GFP_KERNEL)
    b = kmalloc(64, GFP_ATOMIC)
    c = kzalloc(64, GFP_KERNEL)
    d = kmalloc(64, GFP_KERNEL | __GFP_NOFAIL)
    p = alloc_page(GFP_KERNEL)
    g = __get_free_pages(GFP_KERNEL, 1)
    v = kmalloc(64, GFP_NOWAIT)
    w = kmalloc(64, GFP_KERNEL | __GFP_NOWARN)
    s.check("pattern", pattern(not x for x in (a, b, c, d, p, g, v, w)))
    s.check("fail_nth_after", int(k.read_file(path)))
    k.write_file(path, "0")
    s.check("fail_nth_after_writing_0", int(k.read_file(path)))
    for x in (a, b, c, d, v, w):
        kfree(x)
    if p:
        __free_pages(p, 0)
    free_pages(g, 1)


scenario(*[id for id in of_steps('write "') if "kmemleak-on" not in id], boot={"kmemleak": False})(row_of_calls)
scenario(*[id for id in of_steps('write "') if "kmemleak-on" in id])(row_of_calls)


@scenario("context.nth-bad-value")
def nth_bad_value(k, s):
    path = FAIL_NTH.format(tid=k.current.pid)
    for step in s.steps:
        s.check("fail_nth_before", int(k.read_file(path)))
        try:
            k.write_file(path, step.split()[2])
        except OSError as error:
            s.check("write_fail_nth", f"-1 (errno {error.errno})")


@scenario("context.nth-kvmalloc", boot={"kmemleak": False})
def nth_kvmalloc(k, s):
    spare_nothing(k)
    warm_up()
    path = FAIL_NTH.format(tid=k.current.pid)
    s.check("fail_nth_before", int(k.read_file(path)))
    k.write_file(path, "1")
    p = kvmalloc(20000, GFP_KERNEL)
    s.check("returned", p)
    s.check("is_vmalloc", is_vmalloc_addr(p))
    s.check("fail_nth_after", int(k.read_file(path)))
    k.write_file(path, "0")
    s.check("fail_nth_after_writing_0", int(k.read_file(path)))
    kvfree(p)


# --- user copies ------------------------------------------------------------------------------------------------------------


def user_copies(k, s, b, u):
    copies = [copy_from_user(b, u, 8) for _ in range(4)] + [copy_to_user(u, b, 8) for _ in range(4)]
    s.check("pattern", pattern(copies) + pattern(get_user(u, u8)[0] for _ in range(4)))
    s.check("copy_from_user_returned", copy_from_user(b, u, 8))
    s.check("get_user_returned", get_user(u, u8)[0])
    s.check("copy_from_user_inatomic_returned", __copy_from_user_inatomic(b, u, 8))
    s.check("raw_copy_from_user_returned", raw_copy_from_user(b, u, 8))
    s.check("strncpy_from_user_returned", strncpy_from_user(b, u, 8))
    s.check("clear_user_returned", clear_user(u, 8))


@scenario("context.fault-ucopy-all")
def usercopy_all(k, s):
    u, b = k.user().buffer(b"x" * 8), kmalloc(64, GFP_KERNEL)
    k.faults.fail_usercopy(probability=100, times=-1, task_filter=True)
    k.current.make_it_fail = True
    user_copies(k, s, b, u)
    k.faults.clear()
    kfree(b)


@scenario("context.nth-usercopy-7")
def nth_usercopy(k, s):
    u, b = k.user().buffer(b"x" * 8), kmalloc(64, GFP_KERNEL)
    path = FAIL_NTH.format(tid=k.current.pid)
    s.check("fail_nth_before", int(k.read_file(path)))
    k.write_file(path, "7")
    copy_from_user(b, u, 8)  # the one inside write(2)
    user_copies(k, s, b, u)
    s.check("fail_nth_after", int(k.read_file(path)))
    k.write_file(path, "0")
    s.check("fail_nth_after_writing_0", int(k.read_file(path)))
    kfree(b)


@scenario("context.fault-mempool")
def mempool(k, s):
    m = mempool_create_kmalloc_pool(2, 64)
    s.check("curr_nr", m.curr_nr)
    k.faults.failslab(probability=100, times=-1, task_filter=True, ignore_gfp_wait=False)
    k.current.make_it_fail = True
    taken = []
    for i in range(3):
        taken.append(mempool_alloc(m, GFP_NOWAIT))
        s.check(f"alloc_{i}", f"{'non-NULL' if taken[i] else 'NULL'} curr_nr:{m.curr_nr}")
    for p in taken:
        mempool_free(p, m)
    s.check("curr_nr_after_free", m.curr_nr)
    k.faults.clear()
    mempool_destroy(m)
