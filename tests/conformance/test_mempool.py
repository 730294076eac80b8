"""Area mempool: what a real kernel's memory pools did."""

from __future__ import annotations

from kmock.linux.delay import msleep
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.jiffies import HZ, jiffies
from kmock.linux.kthread import kthread_run
from kmock.linux.mempool import (
    mempool_alloc,
    mempool_create,
    mempool_create_kmalloc_pool,
    mempool_create_slab_pool,
    mempool_destroy,
    mempool_exit,
    mempool_free,
    mempool_init_kmalloc_pool,
    mempool_initialized,
    mempool_resize,
    mempool_t,
)
from kmock.linux.slab import (
    __GFP_ZERO,
    SLAB_ACCOUNT,
    kfree,
    kmalloc,
    kmem_cache_create,
    kmem_cache_destroy,
)
from kmock.linux.string import memset
from kmock.linux.types import NULL
from tests.conformance.replay import scenario


class Counting:
    """The recorded pools' functions: they count their calls, and fail once ``fail_after`` calls have been made."""

    def __init__(self, k):
        self.k = k
        self.allocs = self.frees = 0
        self.fail_after = 1 << 30
        self.masks = []
        self.numbers = {}
        self.freed = []

    def alloc(self, gfp, data):
        self.masks.append(self.k.gfp_text(gfp))
        self.allocs += 1
        if self.fail_after <= 0:
            return NULL
        p = kmalloc(64, GFP_KERNEL if self.k.cpu.preempt_count == 0 else gfp)
        self.numbers[int(p)] = len(self.numbers)
        return p

    def free(self, element, data):
        self.frees += 1
        self.freed.append(self.numbers.get(int(element)))
        kfree(element)

    def pool(self, min_nr):
        return mempool_create(min_nr, self.alloc, self.free, None)

    def counts(self, m):
        return {"alloc_fn": self.allocs, "free_fn": self.frees, "curr_nr": m.curr_nr, "min_nr": m.min_nr}


@scenario("mempool.create")
def create(k, s):
    fn = Counting(k)
    m = fn.pool(4)
    s.check("after_create", fn.counts(m))
    s.check("alloc_gfp", fn.masks[0])
    mempool_destroy(m)
    s.check("free_fn", fn.frees)
    s.check("freed_in_order_of_allocation_number", list(fn.freed))
    mempool_destroy(NULL)
    m = fn.pool(4)
    mempool_free(NULL, m)
    mempool_destroy(m)


@scenario("mempool.alloc-free-sequence")
def alloc_free_sequence(k, s):
    fn = Counting(k)
    m = fn.pool(2)
    e = [mempool_alloc(m, GFP_KERNEL)]
    s.check("alloc_with_working_alloc_fn", fn.counts(m))
    s.check("gfp_of_that_call", fn.masks[-1])
    mempool_free(e[0], m)
    s.check("free_with_full_reserve", fn.counts(m))
    fn.fail_after = 0
    for n in (1, 2):
        e.append(mempool_alloc(m, GFP_KERNEL))
        s.check(f"alloc_with_failing_alloc_fn_{n}", fn.counts(m))
        s.check(f"e{n}_is_allocation_number", fn.numbers[int(e[n])])
    for n in (1, 2):
        mempool_free(e[n], m)
        s.check(f"free_into_reserve_{n}", fn.counts(m))
    e.append(mempool_alloc(m, GFP_KERNEL))
    e.append(mempool_alloc(m, GFP_KERNEL))
    s.check("last_freed_comes_first", e[3] == e[2])
    s.check("then_the_other", e[4] == e[1])
    fn.fail_after = 1 << 30
    mempool_free(e[3], m)
    mempool_free(e[4], m)
    mempool_destroy(m)
    s.check("free_fn_in_all", fn.frees)


def in_thread(m, got):
    """Start a thread that takes an element."""

    def body(data):
        got.append(mempool_alloc(m, GFP_KERNEL))
        got.append(jiffies())
        return 0

    return kthread_run(body, NULL, "mp")


STATES = {0: "R", 1: "S", 2: "D"}


@scenario("mempool.kernel-on-empty-blocks")
def kernel_on_empty_blocks(k, s):
    fn = Counting(k)
    m = fn.pool(1)
    fn.fail_after = 0
    e = mempool_alloc(m, GFP_KERNEL)
    calls = fn.allocs
    got = []
    thread = in_thread(m, got)
    msleep(1000)
    s.check("returned_after_1s", len(got[:1]))
    s.check("thread_state", STATES[thread.state])
    s.check("alloc_fn_calls_by_then", fn.allocs - calls)
    s.check("mask_try_1", fn.masks[calls])
    s.check("mask_try_2", fn.masks[calls + 1])
    mempool_free(e, m)
    msleep(300)
    s.check("returned_after_free", len(got[:1]))
    s.check("got_the_freed_element", got[0] == e)
    s.check("alloc_fn_calls_in_all", fn.allocs - calls)
    mempool_free(got[0], m)
    mempool_destroy(m)


@scenario("mempool.kernel-on-empty-retries-every-5s")
def retries_every_5s(k, s):
    fn = Counting(k)
    m = fn.pool(1)
    fn.fail_after = 0
    e = mempool_alloc(m, GFP_KERNEL)
    got = []
    began = jiffies()
    in_thread(m, got)
    msleep(1000)
    fn.fail_after = 1 << 30
    msleep(1500)
    s.check("returned_after_2500ms", len(got[:1]))
    msleep(4000)
    s.check("returned_after_6500ms", len(got[:1]))
    s.except_("seconds_until_return_rounded", "rounded up: the sleep of five seconds and what scheduling took there")
    assert (got[1] - began) // HZ == 5
    mempool_free(got[0], m)
    mempool_free(e, m)
    mempool_destroy(m)


@scenario("mempool.resize-0")
def resize_0(k, s):
    mempool_resize(Counting(k).pool(2), 0)


@scenario("mempool.min-nr-0")
def min_nr_0(k, s):
    fn = Counting(k)
    m = fn.pool(0)
    s.check("m", m)
    s.check("created", fn.counts(m))
    mempool_free(mempool_alloc(m, GFP_KERNEL), m)
    s.check("after_one", fn.counts(m))
    mempool_destroy(m)


@scenario("mempool.destroy-with-outstanding")
def destroy_with_outstanding(k, s):
    fn = Counting(k)
    m = fn.pool(2)
    fn.fail_after = 0
    e = mempool_alloc(m, GFP_KERNEL)
    mempool_destroy(m)
    s.check("free_fn", fn.frees)
    e[0] = 1
    mempool_free(e, m)


@scenario("mempool.gfp-zero")
def gfp_zero(k, s):
    fn = Counting(k)
    m = fn.pool(1)
    fn.fail_after = 0
    e = mempool_alloc(m, GFP_KERNEL)
    memset(e, 0x5C, 64)
    mempool_free(e, m)
    e = mempool_alloc(m, GFP_KERNEL | __GFP_ZERO)
    s.check("zeroed", not any(e[0:64]))
    s.check("byte32", e[32])
    mempool_free(e, m)
    mempool_destroy(m)


@scenario("mempool.use-after-mempool-free")
def use_after_mempool_free(k, s):
    m = mempool_create_kmalloc_pool(1, 64)
    e = mempool_alloc(m, GFP_KERNEL)
    mempool_free(e, m)
    e[0] = 1
    mempool_destroy(m)


@scenario("mempool.reserve-element-use-after-free")
def reserve_element_use_after_free(k, s):
    fn = Counting(k)
    m = fn.pool(2)
    fn.fail_after = 0
    e = mempool_alloc(m, GFP_KERNEL)
    mempool_free(e, m)
    e[0] = 1
    mempool_destroy(m)


@scenario("mempool.double-free-into-reserve")
def double_free_into_reserve(k, s):
    fn = Counting(k)
    m = fn.pool(3)
    fn.fail_after = 0
    a = mempool_alloc(m, GFP_KERNEL)
    b = mempool_alloc(m, GFP_KERNEL)
    mempool_free(a, m)
    mempool_free(a, m)
    s.check("after", fn.counts(m))
    mempool_destroy(m)
    assert b


@scenario("mempool.poison-mismatch")
def poison_mismatch(k, s):
    m = mempool_create_kmalloc_pool(1, 64)
    e = m.elements.ptr[0]
    e[3] = 0x12
    mempool_destroy(m)


@scenario("mempool.slab-pool-with-ctor")
def slab_pool_with_ctor(k, s):
    c = kmem_cache_create("ora_mpc", 128, 0, 0, lambda p: memset(p, 0, 128))
    mempool_create_slab_pool(2, c)


@scenario("mempool.cache-destroyed-before-pool")
def cache_destroyed_before_pool(k, s):
    c = kmem_cache_create("ora_mpo", 128, 0, SLAB_ACCOUNT, None)
    m = mempool_create_slab_pool(2, c)
    kmem_cache_destroy(c)
    mempool_destroy(m)
    kmem_cache_destroy(c)


@scenario("mempool.init-exit")
def init_exit(k, s):
    m = mempool_t()
    s.check("r", mempool_init_kmalloc_pool(m, 3, 100))
    s.check("curr_nr", m.curr_nr)
    s.check("initialized", mempool_initialized(m))
    mempool_exit(m)
    mempool_exit(m)
    s.check("initialized_after_exit", mempool_initialized(m))
