"""Oopses, warnings and panics, lists, and the helpers of the C language, as recorded."""

from __future__ import annotations

import mmap

import kmock
from kmock.linux.bug import BUG, BUG_ON, WARN, WARN_ON, WARN_ON_ONCE, panic
from kmock.linux.err import ERR_PTR
from kmock.linux.errno import ENOMEM
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, __get_free_page, alloc_page, free_page
from kmock.linux.kernel import container_of
from kmock.linux.kref import kref, kref_get, kref_get_unless_zero, kref_init, kref_put, kref_read
from kmock.linux.kthread import kthread_run
from kmock.linux.limits import UINT_MAX
from kmock.linux.list import (
    LIST_HEAD,
    LIST_POISON1,
    LIST_POISON2,
    list_add,
    list_add_tail,
    list_del,
    list_del_init,
    list_empty,
    list_entry,
    list_head,
)
from kmock.linux.mm import page_address
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock
from kmock.linux.poison import (
    PAGE_POISON,
    POISON_END,
    POISON_FREE,
    POISON_INUSE,
    POISON_POINTER_DELTA,
    SLUB_RED_ACTIVE,
    SLUB_RED_INACTIVE,
)
from kmock.linux.refcount import (
    REFCOUNT_INIT,
    refcount_add,
    refcount_dec,
    refcount_dec_and_test,
    refcount_dec_if_one,
    refcount_dec_not_one,
    refcount_inc,
    refcount_inc_not_zero,
    refcount_read,
)
from kmock.linux.slab import ZERO_SIZE_PTR, kfree, kmalloc, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock
from kmock.linux.string import memset, snprintf, strlen
from kmock.linux.types import NULL, Ptr, Struct, addressof, offsetof, sizeof, u32
from kmock.linux.uaccess import copy_from_user
from kmock.linux.vmalloc import PAGE_KERNEL, VM_MAP, vfree, vmalloc, vmap, vunmap
from tests.conformance.replay import scenario

NONCANONICAL = 0xDEAD_0000_0000_0100


class obj(Struct):
    v: u32
    l: list_head


def rd(p):
    return p.u32[0]


def wr(p):
    p.u32[0] = 1


# -- lists ----------------------------------------------------------------------------------------------


@scenario("context.list-double-add-elsewhere")
def list_double_add_elsewhere(k, s):
    a, b = obj(), obj()
    h = LIST_HEAD()
    list_add_tail(a.l, h)
    list_add_tail(b.l, h)
    with k.expect("list-*", count=0):
        list_add_tail(a.l, h)
    s.check("a_next_is_head", a.l.next is h)
    s.check("head_next_is_a", h.next is a.l)
    # The list no longer leads back to where it came from; taking the entry off shows it.
    list_del(b.l)


@scenario("context.list-double-del")
def list_double_del(k, s):
    o = obj()
    list_add(o.l, LIST_HEAD())
    list_del(o.l)
    s.check("(unsigned long)o.l.next", o.l.next)
    s.check("(unsigned long)o.l.prev", o.l.prev)
    list_del(o.l)


@scenario("context.list-del-init-twice-ok")
def list_del_init_twice(k, s):
    o = obj()
    list_add(o.l, LIST_HEAD())
    list_del_init(o.l)
    list_del_init(o.l)
    s.check("list_empty(&o.l)", list_empty(o.l))


@scenario("context.list-add-corruption-prev")
def list_add_corruption_prev(k, s):
    a, b, c = obj(), obj(), obj()
    h = LIST_HEAD()
    list_add(a.l, h)
    h.next = c.l
    c.l.prev = a.l
    list_add(b.l, h)


@scenario("context.list-add-corruption-next")
def list_add_corruption_next(k, s):
    a, b = obj(), obj()
    h = LIST_HEAD()
    list_add(a.l, h)
    a.l.prev = b.l
    list_add(b.l, h)


@scenario("context.list-del-corruption")
def list_del_corruption(k, s):
    a, b = obj(), obj()
    h = LIST_HEAD()
    list_add(a.l, h)
    list_add(b.l, h)
    b.l.next.prev = h
    list_del(b.l)
    h.next = a.l
    list_del(b.l)


@scenario("context.list-freed-member")
def list_freed_member(k, s):
    o = obj.at(kzalloc(sizeof(obj), GFP_KERNEL))
    n = obj()
    h = LIST_HEAD()
    list_add(o.l, h)
    kfree(addressof(o))
    list_add(n.l, h)


@scenario("context.list-add-zeroed-head")
def list_add_zeroed_head(k, s):
    h = obj.at(kzalloc(sizeof(obj), GFP_KERNEL))
    o = obj()
    list_add(o.l, h.l)


@scenario("context.list-del-zeroed")
def list_del_zeroed(k, s):
    o = obj.at(kzalloc(sizeof(obj), GFP_KERNEL))
    list_del(o.l)


@scenario("context.list-poison-values")
def list_poison_values(k, s):
    s.check("(unsigned long)LIST_POISON1", LIST_POISON1)
    s.check("(unsigned long)LIST_POISON2", LIST_POISON2)
    s.check("(unsigned long)ZERO_SIZE_PTR", int(ZERO_SIZE_PTR))
    s.check("POISON_FREE", POISON_FREE)
    s.check("POISON_INUSE", POISON_INUSE)
    s.check("POISON_END", POISON_END)
    s.check("SLUB_RED_ACTIVE", SLUB_RED_ACTIVE)
    s.check("SLUB_RED_INACTIVE", SLUB_RED_INACTIVE)
    s.check("PAGE_POISON", PAGE_POISON)
    s.check("(unsigned long)POISON_POINTER_DELTA", POISON_POINTER_DELTA)


# -- the language ---------------------------------------------------------------------------------------


@scenario("context.container-of-ok")
def container_of_ok(k, s):
    o = obj()
    s.check("container_of(&o.l, struct obj, l) == &o", container_of(o.l, obj, "l") == o)
    s.check("offsetof(struct obj, l)", offsetof(obj, "l"))
    s.check("list_entry(&o.l, struct obj, l) == &o", list_entry(o.l, obj, "l") == o)


@scenario("context.printk-pointer")
def printk_pointer(k, s):
    p = kmalloc(8, GFP_KERNEL)
    b = kmalloc(64, GFP_KERNEL)
    snprintf(b, 64, "%p", p)
    s.check("strlen(b)", strlen(b))
    s.except_("px_prefix", "where the direct map begins, with five levels of page tables")
    snprintf(b, 64, "%px", p)
    assert b[0:16] == b"%016x" % p
    snprintf(b, 64, "%p", NULL)
    s.check("p_of_null", int(b[0:16], 16))
    snprintf(b, 64, "%p", ERR_PTR(-ENOMEM))
    s.check("p_of_err", b[0:16])
    kfree(b)
    kfree(p)


# -- warnings -------------------------------------------------------------------------------------------


@scenario("context.warn-on-format")
def warn_on_format(k, s):
    s.check("WARN_ON(HIDE(1))", WARN_ON(1))
    s.check("WARN_ON(HIDE(0))", WARN_ON(0))


@scenario("context.warn-text")
def warn_text(k, s):
    WARN(1, "oracle %s %d\n", "text", 42)


@scenario("context.warn-on-once")
def warn_on_once(k, s):
    for _ in range(2):
        s.check("WARN_ON_ONCE(HIDE(1))", WARN_ON_ONCE(1))
    assert len(k.reports) == 1


# -- wild pointers --------------------------------------------------------------------------------------


@scenario("context.null-read", "context.null-read-raw")
def null_read(k, s):
    rd(NULL)


@scenario("context.null-field-read")
def null_field_read(k, s):
    o = obj.at(NULL)
    o.l.next


@scenario("context.null-write")
def null_write(k, s):
    wr(NULL)


@scenario("context.errptr-read", "context.errptr-read-kasan")
def errptr_read(k, s):
    rd(ERR_PTR(-12))


@scenario("context.noncanonical-read", "context.noncanonical-read-kasan")
def noncanonical_read(k, s):
    rd(Ptr(NONCANONICAL))


@scenario("context.poison-deref")
def poison_deref(k, s):
    p = kmalloc(8, GFP_KERNEL)
    memset(p, POISON_FREE, 8)
    rd(p.ptr[0])


@scenario("context.user-read-direct", "context.user-read-direct-kasan")
def user_read_direct(k, s):
    rd(Ptr(k.user().buffer(64)))


@scenario("context.user-write-direct")
def user_write_direct(k, s):
    wr(Ptr(k.user().buffer(64)))


@scenario("context.vmalloc-guard-raw", "context.vmalloc-guard-kasan")
def vmalloc_guard(k, s):
    p = vmalloc(4096)
    wr(p + 4096)


@scenario("context.vmalloc-use-after-vfree-raw")
def vmalloc_use_after_vfree(k, s):
    p = vmalloc(4096)
    vfree(p)
    rd(p)


@scenario("context.vmap-write-ok")
def vmap_write(k, s):
    page = alloc_page(GFP_KERNEL | __GFP_ZERO)
    p = vmap([page], 1, VM_MAP, PAGE_KERNEL)
    wr(p)
    s.check("through_direct_map", page_address(page).u32[0])
    vunmap(p)
    __free_page(page)


@scenario("context.page-use-after-free-debug-pagealloc")
def page_use_after_free_debug_pagealloc(k, s):
    p = __get_free_page(GFP_KERNEL)
    free_page(p)
    rd(p)


@scenario("context.rodata-write")
def rodata_write(k, s):
    wr(k.image.rodata(b"0123456789abcdef", "hex_asc"))


@scenario("context.text-write")
def text_write(k, s):
    wr(k.image.text("_printk"))


@scenario("context.null-write-in-hardirq")
def null_write_in_hardirq(k, s):
    with k.hardirq():
        wr(NULL)


@scenario("context.null-write-mutex")
def null_write_mutex(k, s):
    l = DEFINE_MUTEX("l")
    mutex_lock(l)
    wr(NULL)


@scenario("context.usercopy-partial")
def usercopy_partial(k, s):
    page = k.user().mmap(-1, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE)
    b = kmalloc(16, GFP_KERNEL)
    memset(b, 0xFF, 16)
    s.check("not_copied", copy_from_user(b, page + mmap.PAGESIZE - 4, 16))
    s.check("tail_zeroed", b[4:16] == bytes(12))
    kfree(b)


@scenario("context.null-write-in-kthread")
def null_write_in_kthread(k, s):
    kthread_run(lambda _: wr(NULL), NULL, "orc_kt")
    k.run()
    # It ended that thread; the test's own task goes on.
    raise kmock.KernelOops(k.reports[0])


# -- reference counts -----------------------------------------------------------------------------------

INT_MAX = (1 << 31) - 1


@scenario("context.refcount-ok")
def refcount_ok(k, s):
    r = REFCOUNT_INIT(1)
    refcount_inc(r)
    s.check("refcount_read(&r)", refcount_read(r))
    s.check("refcount_dec_and_test(&r)", refcount_dec_and_test(r))
    s.check("refcount_dec_and_test(&r)", refcount_dec_and_test(r))
    s.check("refcount_read(&r)", refcount_read(r))
    s.check("refcount_inc_not_zero(&r)", refcount_inc_not_zero(r))
    s.check("refcount_dec_not_one(&r)", refcount_dec_not_one(r))
    s.check("refcount_dec_if_one(&r)", refcount_dec_if_one(r))
    s.check("refcount_read(&r)", refcount_read(r))


@scenario("context.refcount-inc-zero")
def refcount_inc_zero(k, s):
    r = REFCOUNT_INIT(0)
    refcount_inc(r)
    s.check("(unsigned int)refcount_read(&r)", refcount_read(r) & UINT_MAX)


@scenario("context.refcount-add-zero")
def refcount_add_zero(k, s):
    r = REFCOUNT_INIT(0)
    refcount_add(5, r)
    s.check("(unsigned int)refcount_read(&r)", refcount_read(r) & UINT_MAX)


@scenario("context.refcount-dec-to-zero")
def refcount_dec_to_zero(k, s):
    r = REFCOUNT_INIT(1)
    refcount_dec(r)
    s.check("(unsigned int)refcount_read(&r)", refcount_read(r) & UINT_MAX)


@scenario("context.refcount-underflow")
def refcount_underflow(k, s):
    r = REFCOUNT_INIT(0)
    for _ in range(2):
        s.check("refcount_dec_and_test(&r)", refcount_dec_and_test(r))
        s.check("(unsigned int)refcount_read(&r)", refcount_read(r) & UINT_MAX)
    refcount_inc(r)
    s.check("(unsigned int)refcount_read(&r)", refcount_read(r) & UINT_MAX)


@scenario("context.refcount-overflow")
def refcount_overflow(k, s):
    r = REFCOUNT_INIT(INT_MAX)
    refcount_inc(r)
    s.check("(unsigned int)refcount_read(&r)", refcount_read(r) & UINT_MAX)


@scenario("context.refcount-inc-not-zero-overflow")
def refcount_inc_not_zero_overflow(k, s):
    r = REFCOUNT_INIT(INT_MAX)
    s.check("refcount_inc_not_zero(&r)", refcount_inc_not_zero(r))
    s.check("(unsigned int)refcount_read(&r)", refcount_read(r) & UINT_MAX)


@scenario("context.refcount-warn-once")
def refcount_warn_once(k, s):
    r, q = REFCOUNT_INIT(0), REFCOUNT_INIT(0)
    refcount_inc(r)
    refcount_inc(q)
    s.check("(unsigned int)refcount_read(&q)", refcount_read(q) & UINT_MAX)


@scenario("context.kref-ok")
def kref_ok(k, s):
    o = kref()

    def kr(ref):
        s.check("release", "called")

    kref_init(o)
    s.check("kref_read(&o.k)", kref_read(o))
    kref_get(o)
    s.check("kref_put(&o.k, kr)", kref_put(o, kr))
    s.check("kref_put(&o.k, kr)", kref_put(o, kr))
    s.check("kref_get_unless_zero(&o.k)", kref_get_unless_zero(o))


# -- the end --------------------------------------------------------------------------------------------


@scenario("context.bug-on-format")
def bug_on_format(k, s):
    BUG_ON(1)


@scenario("context.bug-in-hardirq")
def bug_in_hardirq(k, s):
    with k.hardirq():
        BUG()


@scenario("context.bug-under-spinlock")
def bug_under_spinlock(k, s):
    l = DEFINE_SPINLOCK("l")
    spin_lock(l)
    BUG_ON(1)


@scenario("context.panic-format")
def panic_format(k, s):
    panic("oracle panic %d", 7)


@scenario("context.stack-overflow")
def stack_overflow(k, s):
    def eat(n):
        k.stack_buffer(512)
        return eat(n - 1) if n else 0

    eat(1000)


@scenario("context.user-call")
def user_call(k, s):
    k.user().buffer(b"\xc3")()


@scenario("context.nx-execute")
def nx_execute(k, s):
    p = kmalloc(64, GFP_KERNEL)
    p[0] = 0xC3
    p()
