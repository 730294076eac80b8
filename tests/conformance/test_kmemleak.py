"""kmemleak, as recorded: what is found, by which scan, with which size; its annotations and its file.

Addresses are kept as plain numbers: a ``Ptr`` that Python still holds is a reference, as a variable is in C.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from kmock.linux.errno import EPERM
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __get_free_pages, alloc_pages_exact, get_zeroed_page
from kmock.linux.kmemleak import (
    kmemleak_alloc,
    kmemleak_erase,
    kmemleak_ignore,
    kmemleak_not_leak,
    kmemleak_scan_area,
)
from kmock.linux.mempool import mempool_create_kmalloc_pool
from kmock.linux.percpu import DEFINE_PER_CPU, alloc_percpu, per_cpu, per_cpu_ptr
from kmock.linux.slab import (
    SLAB_NOLEAKTRACE,
    kfree,
    kmalloc,
    kmem_cache_create,
    kmem_cache_zalloc,
    krealloc,
    kzalloc,
)
from kmock.linux.string import kmemdup, kstrdup, memcpy, memset, strcpy
from kmock.linux.types import NULL, Ptr, Struct, addressof, sizeof, u64
from kmock.linux.vmalloc import vzalloc
from kmock.sanitizers.reach import living
from tests.conformance.replay import scenario

FILE = "/sys/kernel/debug/kmemleak"
PAGE_SIZE = 4096
MODULE = Path(__file__).parent / "modules" / "held.py"


class node(Struct):
    ref: Ptr
    pad: u64[7]


def scan(k):
    k.write_file(FILE, "scan")


def reported(k):
    """Return the sizes of the objects in the file by their addresses."""
    found = re.findall(r"^unreferenced object 0x([0-9a-f]+) \(size (\d+)\):", k.read_file(FILE), re.MULTILINE)
    return {int(address, 16): int(size) for address, size in found}


def look(k, s, **objects):
    """Wait, scan three times, and check which of the objects were reported, by which scan, and as how large."""
    k.advance(6)
    first = {}
    for n in (1, 2, 3):
        scan(k)
        for address in reported(k):
            first.setdefault(address, n)
    sizes = reported(k)
    for name, address in objects.items():
        s.check(f"{name}_reported", address in first)
        if address in first:
            s.check(f"{name}_first_reported_by_scan", first[address])
            s.check(f"{name}_size_in_report", sizes[address])


def in_file(k, s, moment, address, name="a"):
    found = reported(k)
    s.check(f"{name}_in_file_after_{moment}", address in found)
    s.check(f"other_objects_in_file_after_{moment}", len(found.keys() - {address}))


def zeroed(size=64):
    return int(kzalloc(size, GFP_KERNEL))


def nodes():
    """Return two nodes, of which the first points to the second."""
    a, b = (node.at(kzalloc(sizeof(node), GFP_KERNEL)) for _ in range(2))
    a.ref = addressof(b)
    return int(a), int(b)


# -- what is found --------------------------------------------------------------------------------------


@scenario("context.leak-kmalloc")
def leak_kmalloc(k, s):
    def driver():
        a = kmalloc(64, GFP_KERNEL)
        memset(a, 0x5A, 64)
        return int(a)

    look(k, s, a=driver())


@scenario("context.leak-kmalloc-odd")
def leak_kmalloc_odd(k, s):
    def driver():
        a = kmalloc(50, GFP_KERNEL)
        strcpy(a, "Hello, leak")
        return int(a)

    look(k, s, a=driver())


@scenario("context.leak-kmem-cache")
def leak_kmem_cache(k, s):
    cache = kmem_cache_create("orc_leak", 104, 0, 0, None)
    look(k, s, a=int(kmem_cache_zalloc(cache, GFP_KERNEL)))


@scenario("context.leak-kmem-cache-noleaktrace")
def leak_kmem_cache_noleaktrace(k, s):
    cache = kmem_cache_create("orc_leak_nt", 112, 0, SLAB_NOLEAKTRACE, None)
    look(k, s, a=int(kmem_cache_zalloc(cache, GFP_KERNEL)))


@scenario("context.leak-vmalloc")
def leak_vmalloc(k, s):
    look(k, s, a=int(vzalloc(10000)))


@scenario("context.leak-chain")
def leak_chain(k, s):
    a, b = nodes()
    look(k, s, a=a, b=b)


@scenario("context.leak-cycle")
def leak_cycle(k, s):
    a, b = nodes()
    node.at(Ptr(b)).ref = Ptr(a)
    look(k, s, a=a, b=b)


@scenario("context.leak-reachable-chain")
def leak_reachable_chain(k, s):
    a, b = nodes()
    root = Ptr(a)
    look(k, s, a=a, b=b)
    assert root


@scenario("context.leak-middle-pointer")
def leak_middle_pointer(k, s):
    roots = [kzalloc(64, GFP_KERNEL) + 40]
    look(k, s, a=int(roots[0]) - 40)


@scenario("context.leak-last-byte-pointer")
def leak_last_byte_pointer(k, s):
    roots = [kzalloc(64, GFP_KERNEL) + 63]
    look(k, s, a=int(roots[0]) - 63)


@scenario("context.leak-one-past-pointer")
def leak_one_past_pointer(k, s):
    roots = [kzalloc(64, GFP_KERNEL) + 64]
    look(k, s, a=int(roots[0]) - 64)


@scenario("context.leak-slack-pointer")
def leak_slack_pointer(k, s):
    roots = [kzalloc(50, GFP_KERNEL) + 56]
    look(k, s, a=int(roots[0]) - 56)


@scenario("context.leak-unaligned-pointer")
def leak_unaligned_pointer(k, s):
    packed = k.image.data(32, "packed")
    a = zeroed()
    memcpy(packed + 3, a.to_bytes(8, "little"), 8)
    look(k, s, a=a)


@scenario("context.leak-alloc-pages")
def leak_alloc_pages(k, s):
    look(k, s, a=int(__get_free_pages(GFP_KERNEL | __GFP_ZERO, 1)))


@scenario("context.leak-alloc-pages-exact")
def leak_alloc_pages_exact(k, s):
    look(k, s, a=int(alloc_pages_exact(12288, GFP_KERNEL | __GFP_ZERO)))


@scenario("context.leak-kstrdup")
def leak_kstrdup(k, s):
    look(k, s, a=int(kstrdup("duplicate me", GFP_KERNEL)), b=int(kmemdup("12345678", 8, GFP_KERNEL)))


@scenario("context.leak-krealloc")
def leak_krealloc(k, s):
    a = int(kmalloc(32, GFP_KERNEL))
    b = int(krealloc(Ptr(a), 500, GFP_KERNEL))
    look(k, s, a=a, b=b)


# -- annotations ----------------------------------------------------------------------------------------


@scenario("context.leak-kmemleak-erase")
def leak_kmemleak_erase(k, s):
    a = zeroed()
    roots = [Ptr(a)]
    kmemleak_erase(roots, 0)
    s.check("reference_after_erase_is_NULL", roots[0] == NULL)
    look(k, s, a=a)


@scenario("context.leak-not-leak")
def leak_not_leak(k, s):
    a, b = nodes()
    kmemleak_not_leak(Ptr(a))
    look(k, s, a=a, b=b)


@scenario("context.leak-ignore")
def leak_ignore(k, s):
    a, b = nodes()
    kmemleak_ignore(Ptr(a))
    look(k, s, a=a, b=b)


@scenario("context.leak-scan-area")
def leak_scan_area(k, s):
    a, b = nodes()
    c = zeroed()
    root = node.at(Ptr(a))
    root.pad[5] = c
    kmemleak_scan_area(Ptr(a), 8, GFP_KERNEL)
    look(k, s, a=a, b=b, c=c)


@scenario("context.leak-scan-area-outside", fewer_reports="a complaint of kmemleak's own in the log, of no kind")
def leak_scan_area_outside(k, s):
    a = kzalloc(64, GFP_KERNEL)
    kmemleak_scan_area(a, 65, GFP_KERNEL)
    kmemleak_scan_area(a + 8, 8, GFP_KERNEL)
    kfree(a)


@scenario("context.leak-reference-in-registered-page")
def leak_reference_in_registered_page(k, s):
    page = get_zeroed_page(GFP_KERNEL)
    a = zeroed()
    kmemleak_alloc(page, PAGE_SIZE, 1, GFP_KERNEL)
    page.ptr[5] = Ptr(a)
    look(k, s, a=a, page=int(page))


@scenario("context.leak-min-count-0")
def leak_min_count_0(k, s):
    page = int(get_zeroed_page(GFP_KERNEL))
    kmemleak_alloc(Ptr(page), PAGE_SIZE, 0, GFP_KERNEL)
    look(k, s, page=page)


# -- the scan and its file ------------------------------------------------------------------------------


@scenario("context.leak-min-age")
def leak_min_age(k, s):
    k.write_file(FILE, "clear")
    a = zeroed()
    scan(k)
    in_file(k, s, "young", a)
    k.advance(6)
    scan(k)
    in_file(k, s, "old", a)


@scenario("context.leak-scan-clear")
def leak_scan_clear(k, s):
    k.write_file(FILE, "clear")
    a = int(memset(kmalloc(64, GFP_KERNEL), 0x77, 64))
    k.advance(6)
    for moment in ("scan1", "scan2", "scan3"):
        scan(k)
        in_file(k, s, moment, a)
    k.write_file(FILE, "clear")
    scan(k)
    in_file(k, s, "afterclear", a)


@scenario("context.leak-changing-object")
def leak_changing_object(k, s):
    a = zeroed()
    k.advance(6)
    for n in (1, 2):
        Ptr(a)[0] = n
        scan(k)
        k.advance(0.5)
    in_file(k, s, "changing", a)


@scenario("context.leak-dump")
def leak_dump(k, s):
    roots = [kzalloc(64, GFP_KERNEL)]
    k.write_file(FILE, f"dump={int(roots[0]):#x}")
    s.check("dump_unknown_rc", refused(k, "dump=0x1234"))


@scenario("context.leak-off", fewer_reports="it is switched off on purpose")
def leak_off(k, s):
    k.write_file(FILE, "off")
    s.check("scan_after_off_rc", refused(k, "scan", EPERM))


@scenario("context.leak-module-rmmod")
def leak_module_rmmod(k, s):
    module = k.insmod(MODULE)
    held = module.static.address
    for moment in ("loaded1", "loaded2"):
        k.advance(3)
        scan(k)
        in_file(k, s, moment, held, "held")
    k.rmmod(module)
    del module
    for moment in ("unloaded1", "unloaded2"):
        k.advance(1)
        scan(k)
        in_file(k, s, moment, held, "held")


@scenario(
    "context.leak-module-init-fails",
    except_headlines={"2 new suspected": "the other one was the harness's own leak"},
)
def leak_module_init_fails(k, s):
    with suppress(OSError):
        k.insmod(MODULE, fail=1)
    held = living(k)[-1].addr
    k.advance(6)
    for moment in ("failed1", "failed2"):
        scan(k)
        in_file(k, s, moment, held, "failed")


def refused(k, text, number=None):
    try:
        k.write_file(FILE, text)
    except OSError as error:
        assert number in {None, error.errno}
        return 1
    return 0


@scenario("context.leak-percpu")
def leak_percpu(k, s):
    look(k, s, a=int(alloc_percpu(u64)))


@scenario("context.leak-percpu-reference")
def leak_percpu_reference(k, s):
    variable = DEFINE_PER_CPU(Ptr, "leak_pcpu_ref")
    a = kzalloc(64, GFP_KERNEL)
    per_cpu(variable, 2).value = a
    address = int(a)
    del a
    look(k, s, a=address)


@scenario("context.leak-dyn-percpu-reference")
def leak_dynamic_percpu_reference(k, s):
    roots = [alloc_percpu(Ptr)]
    a = kzalloc(64, GFP_KERNEL)
    per_cpu_ptr(roots[0], 1).value = a
    address = int(a)
    del a
    look(k, s, a=address, pc=int(roots[0]))


@scenario("context.leak-mempool")
def leak_mempool(k, s):
    def driver():
        m = mempool_create_kmalloc_pool(3, 64)
        return int(addressof(m)), int(m.elements), int(m.elements.ptr[0])

    pool, elements, first = driver()
    look(k, s, pool=pool, elements=elements, elem0=first)
