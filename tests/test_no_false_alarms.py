"""Drivers without a mistake: whatever kmock reports of them is a mistake of kmock's.

Each runs on every machine of ``MACHINES``, and its shutdown too must stay silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import kmock
from kmock.linux.atomic import atomic_dec_and_test, atomic_inc, atomic_read, atomic_set, atomic_t
from kmock.linux.completion import complete, completion, init_completion, wait_for_completion
from kmock.linux.delay import msleep
from kmock.linux.err import IS_ERR, PTR_ERR
from kmock.linux.errno import EAGAIN, EFAULT, EINVAL, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.highmem import kmap, kmap_atomic, kmap_local_page, kunmap, kunmap_atomic, kunmap_local
from kmock.linux.interrupt import IRQ_HANDLED, IRQ_WAKE_THREAD, free_irq, request_irq, request_threaded_irq
from kmock.linux.kernel import container_of
from kmock.linux.kref import kref, kref_get, kref_get_unless_zero, kref_init, kref_put
from kmock.linux.kthread import kthread_run, kthread_should_stop, kthread_stop
from kmock.linux.list import (
    INIT_LIST_HEAD,
    LIST_HEAD,
    hlist_add_head,
    hlist_del,
    hlist_for_each_entry,
    hlist_for_each_entry_safe,
    hlist_head,
    hlist_node,
    list_add,
    list_add_tail,
    list_del,
    list_del_init,
    list_empty,
    list_first_entry,
    list_for_each_entry,
    list_for_each_entry_safe,
    list_head,
    list_move_tail,
    list_splice_init,
)
from kmock.linux.miscdevice import MISC_DYNAMIC_MINOR, misc_deregister, misc_register, miscdevice
from kmock.linux.mm import (
    ClearPageReserved,
    SetPageReserved,
    compound_order,
    get_page,
    page_address,
    page_count,
    put_page,
    split_page,
    virt_to_page,
)
from kmock.linux.mm_types import page as struct_page
from kmock.linux.mutex import DEFINE_MUTEX, mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.rcupdate import (
    kfree_rcu,
    rcu_assign_pointer,
    rcu_dereference,
    rcu_head,
    rcu_read_lock,
    rcu_read_unlock,
    synchronize_rcu,
)
from kmock.linux.rwlock import rwlock_init
from kmock.linux.rwsem import down_read, down_write, init_rwsem, rw_semaphore, up_read, up_write
from kmock.linux.sched.mm import (
    memalloc_nofs_restore,
    memalloc_nofs_save,
    memalloc_noio_restore,
    memalloc_noio_save,
)
from kmock.linux.slab import (
    __GFP_COMP,
    __GFP_ZERO,
    GFP_ATOMIC,
    GFP_KERNEL,
    GFP_NOWAIT,
    KMEM_CACHE,
    SLAB_HWCACHE_ALIGN,
    SLAB_TYPESAFE_BY_RCU,
    __free_page,
    __free_pages,
    __get_free_pages,
    alloc_page,
    alloc_pages,
    alloc_pages_exact,
    free_page,
    free_pages,
    free_pages_exact,
    get_zeroed_page,
    kcalloc,
    kfree,
    kfree_const,
    kfree_sensitive,
    kmalloc,
    kmalloc_array,
    kmem_cache_alloc,
    kmem_cache_alloc_bulk,
    kmem_cache_create,
    kmem_cache_create_usercopy,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_free_bulk,
    kmem_cache_zalloc,
    krealloc,
    ksize,
    kvfree,
    kvmalloc,
    kzalloc,
)
from kmock.linux.spinlock import (
    DEFINE_SPINLOCK,
    read_lock,
    read_lock_irqsave,
    read_unlock,
    read_unlock_irqrestore,
    rwlock_t,
    spin_lock,
    spin_lock_init,
    spin_lock_irq,
    spin_lock_irqsave,
    spin_lock_nested,
    spin_unlock,
    spin_unlock_irq,
    spin_unlock_irqrestore,
    spinlock_t,
    write_lock_irqsave,
    write_unlock_irqrestore,
)
from kmock.linux.string import kmemdup, kstrdup, kstrdup_const, memcmp, memcpy, memdup_user, memset, strlen
from kmock.linux.types import Ptr, Struct, sizeof, u8, u16, u32
from kmock.linux.uaccess import copy_from_user, copy_to_user
from kmock.linux.vmalloc import vfree, vmalloc, vmalloc_to_page
from kmock.linux.wait import (
    init_waitqueue_head,
    wait_event,
    wait_event_interruptible,
    wait_queue_head_t,
    wake_up,
    wake_up_interruptible,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINES: dict[str, dict[str, Any]] = {
    "default": {},
    "slub_debug": {"cmdline": "slub_debug=FZPU"},
    "plain": {"kasan": False},
    "uninit_loads": {"uninit_loads": True},
    "page_poison": {"kasan": False, "cmdline": "page_poison=1 init_on_free=1"},
    "highmem": {"arch": "x86_32", "memory": "1G"},
    "numa": {"cpus": 4, "nodes": 2, "memory": "128M"},
}


@pytest.fixture(params=MACHINES)
def k(request: pytest.FixtureRequest) -> Iterator[kmock.Kernel]:
    """A machine that nothing may be reported on, up to its very end."""
    with kmock.boot(**MACHINES[request.param]) as kernel:
        yield kernel
    assert [str(report) for report in kernel.reports] == []


# -- rings, lists, tables ---------------------------------------------------------------------------------------------


class Ring(Struct):
    lock: spinlock_t
    head: u32
    tail: u32
    size: u32
    data: Ptr


def ring_alloc(size: int) -> Ring | None:
    ring = Ring.at(kzalloc(sizeof(Ring), GFP_KERNEL))
    if not ring:
        return None
    ring.data = kmalloc(size, GFP_KERNEL)
    if not ring.data:
        kfree(ring)
        return None
    spin_lock_init(ring.lock)
    ring.size = size
    return ring


def ring_put(ring: Ring, byte: int) -> bool:
    flags = spin_lock_irqsave(ring.lock)
    room = ring.head - ring.tail < ring.size
    if room:
        ring.data[ring.head % ring.size] = byte
        ring.head += 1
    spin_unlock_irqrestore(ring.lock, flags)
    return room


def ring_get(ring: Ring) -> int:
    flags = spin_lock_irqsave(ring.lock)
    byte = -EAGAIN
    if ring.tail != ring.head:
        byte = ring.data[ring.tail % ring.size]
        ring.tail += 1
    spin_unlock_irqrestore(ring.lock, flags)
    return byte


def ring_free(ring: Ring) -> None:
    kfree(ring.data)
    kfree(ring)


def test_ring_buffer_filled_by_an_interrupt_handler(k):
    ring = ring_alloc(60)
    sent = iter(range(256))

    def handler(irq, dev_id):
        ring_put(dev_id, next(sent))
        return IRQ_HANDLED

    assert request_irq(9, handler, 0, "ring", ring) == 0
    for _ in range(70):
        k.raise_irq(9)
    got = []
    while (byte := ring_get(ring)) >= 0:
        got.append(byte)
    assert got == list(range(60))
    free_irq(9, ring)
    ring_free(ring)


class Entry(Struct):
    key: u32
    name: u8[12]
    node: list_head
    hash: hlist_node


class Table(Struct):
    entries: list_head
    count: u32
    lock: spinlock_t


def test_list_of_structs_in_simulated_memory(k):
    table = Table.at(kzalloc(sizeof(Table), GFP_KERNEL))
    INIT_LIST_HEAD(table.entries)
    spin_lock_init(table.lock)
    for key in range(10):
        e = Entry.at(kmalloc(sizeof(Entry), GFP_KERNEL))
        e.key = key
        memset(e.name, 0, sizeof(e.name))
        spin_lock(table.lock)
        list_add_tail(e.node, table.entries)
        table.count += 1
        spin_unlock(table.lock)
    assert [e.key for e in list_for_each_entry(table.entries, Entry, "node")] == list(range(10))
    for e in list_for_each_entry_safe(table.entries, Entry, "node"):
        if e.key % 2:
            list_del(e.node)
            table.count -= 1
            kfree(e)
    assert table.count == 5
    first = list_first_entry(table.entries, Entry, "node")
    list_move_tail(first.node, table.entries)
    assert [e.key for e in list_for_each_entry(table.entries, Entry, "node")] == [2, 4, 6, 8, 0]
    while not list_empty(table.entries):
        e = list_first_entry(table.entries, Entry, "node")
        list_del_init(e.node)
        kfree(e)
    kfree(table)


def test_work_handed_over_with_splice(k):
    pending, batch = LIST_HEAD("pending"), LIST_HEAD("batch")
    lock = DEFINE_SPINLOCK("pending_lock")
    for key in range(4):
        e = Entry.at(kzalloc(sizeof(Entry), GFP_KERNEL))
        e.key = key
        list_add(e.node, pending)
    spin_lock_irq(lock)
    list_splice_init(pending, batch)
    spin_unlock_irq(lock)
    assert list_empty(pending)
    for e in list_for_each_entry_safe(batch, Entry, "node"):
        list_del(e.node)
        kfree(e)


def test_hash_table_in_an_array(k):
    buckets = [hlist_head() for _ in range(4)]
    for key in range(12):
        e = Entry.at(kzalloc(sizeof(Entry), GFP_KERNEL))
        e.key = key
        hlist_add_head(e.hash, buckets[key % 4])
    assert [e.key for e in hlist_for_each_entry(buckets[1], Entry, "hash")] == [9, 5, 1]
    for bucket in buckets:
        for e in hlist_for_each_entry_safe(bucket, Entry, "hash"):
            hlist_del(e.hash)
            kfree(e)


class Leaf(Struct):
    key: u32
    left: Ptr
    right: Ptr


def test_tree_of_pointers(k):
    root = Leaf.at(kzalloc(sizeof(Leaf), GFP_KERNEL))
    root.key = 8
    for key in (4, 12, 2, 6, 10, 14):
        leaf = Leaf.at(kzalloc(sizeof(Leaf), GFP_KERNEL))
        leaf.key = key
        at = root
        while True:
            side = "left" if key < at.key else "right"
            if not getattr(at, side):
                setattr(at, side, leaf)
                break
            at = Leaf.at(getattr(at, side))

    def drop(p):
        if p:
            drop(Leaf.at(p).left)
            drop(Leaf.at(p).right)
            kfree(p)

    drop(root.left)
    drop(root.right)
    kfree(root)


# -- lifetimes --------------------------------------------------------------------------------------------------------


class Session(Struct):
    ref: kref
    id: u32
    buffer: Ptr


def session_release(ref):
    session = container_of(ref, Session, "ref")
    kfree(session.buffer)
    kfree(session)


def test_refcounted_objects(k):
    session = Session.at(kzalloc(sizeof(Session), GFP_KERNEL))
    kref_init(session.ref)
    session.buffer = kmalloc(100, GFP_KERNEL)
    kref_get(session.ref)
    assert kref_put(session.ref, session_release) == 0
    assert kref_get_unless_zero(session.ref)
    kref_put(session.ref, session_release)
    session.buffer[0:100] = bytes(100)
    assert kref_put(session.ref, session_release) == 1


class Config(Struct):
    rcu: rcu_head
    node: list_head
    limit: u32


class Device:
    def __init__(self):
        self.config = None


def test_published_with_rcu(k):
    dev = Device()
    for limit in range(3):
        new = Config.at(kzalloc(sizeof(Config), GFP_KERNEL))
        new.limit = limit
        old = dev.config
        rcu_assign_pointer(dev, "config", new)
        if old:
            kfree_rcu(old, "rcu")
        rcu_read_lock()
        assert rcu_dereference(dev.config).limit == limit
        rcu_read_unlock()
    old, dev.config = dev.config, None
    synchronize_rcu()
    kfree(old)


def test_list_whose_removed_entries_wait_for_readers(k):
    head, lock = LIST_HEAD("configs"), DEFINE_SPINLOCK("configs_lock")
    for limit in range(5):
        entry = Config.at(kzalloc(sizeof(Config), GFP_KERNEL))
        entry.limit = limit
        spin_lock(lock)
        list_add_tail(entry.node, head)
        spin_unlock(lock)
    rcu_read_lock()
    seen = sum(entry.limit for entry in list_for_each_entry(head, Config, "node"))
    rcu_read_unlock()
    assert seen == 10
    for entry in list_for_each_entry_safe(head, Config, "node"):
        spin_lock(lock)
        list_del(entry.node)
        spin_unlock(lock)
        kfree_rcu(entry, "rcu")


class Attribute:
    __slots__ = ("name", "value")


def test_strings_and_copies(k):
    attribute = Attribute()
    attribute.name = kstrdup("frequency", GFP_KERNEL)
    attribute.value = kmemdup(attribute.name, strlen(attribute.name) + 1, GFP_KERNEL)
    assert memcmp(attribute.name, attribute.value, 10) == 0
    literal = kstrdup_const("literal", GFP_KERNEL)
    kfree_const(literal)
    kfree(attribute.value)
    kfree(attribute.name)
    kfree(None)
    kfree(kstrdup(None, GFP_KERNEL))
    kfree(kmalloc(0, GFP_KERNEL))


def test_struct_copied_with_its_pointers(k):
    one = Leaf.at(kzalloc(sizeof(Leaf), GFP_KERNEL))
    one.left = kmalloc(8, GFP_KERNEL)
    two = Leaf.at(kmemdup(one, sizeof(Leaf), GFP_KERNEL))
    kfree(one)
    two.left[0:8] = bytes(8)
    kfree(two.left)
    kfree(two)


def test_array_that_grows(k):
    items, used, room = Ptr(0), 0, 0
    for value in range(3000):
        if used == room:
            room = room * 2 or 4
            grown = krealloc(items, room * 8, GFP_KERNEL)
            if not grown:
                break
            items = grown
        items.u64[used] = value
        used += 1
    assert [items.u64[n] for n in range(used)] == list(range(3000))
    kfree(items)


def test_secret_in_all_that_ksize_allows(k):
    key = kmalloc(50, GFP_KERNEL)
    room = ksize(key)
    memset(key, 0x41, room)
    kfree_sensitive(key)


def test_memory_of_either_allocator(k):
    for size in (100, 5000, 3 << 20):
        p = kvmalloc(size, GFP_KERNEL)
        memset(p, 1, size)
        assert p[size - 1] == 1
        kvfree(p)


# -- caches -----------------------------------------------------------------------------------------------------------


class Request(Struct):
    lock: spinlock_t
    queue: list_head
    generation: u32
    flags: u16
    payload: u8[40]


def request_ctor(p):
    r = Request.at(p)
    spin_lock_init(r.lock)
    INIT_LIST_HEAD(r.queue)
    r.generation = 0
    r.flags = 0


def test_cache_with_constructor(k):
    cache = kmem_cache_create("request", sizeof(Request), 0, SLAB_HWCACHE_ALIGN, request_ctor)
    busy = LIST_HEAD("busy")
    for _ in range(3):
        for n in range(50):
            r = Request.at(kmem_cache_alloc(cache, GFP_KERNEL))
            assert list_empty(r.queue)
            assert r.flags == 0
            spin_lock(r.lock)
            r.flags = n
            list_add(r.queue, busy)
            spin_unlock(r.lock)
        for r in list_for_each_entry_safe(busy, Request, "queue"):
            list_del_init(r.queue)
            r.flags = 0
            kmem_cache_free(cache, r)
    kmem_cache_destroy(cache)


def connection_ctor(p):
    spin_lock_init(Request.at(p).lock)


def test_typesafe_cache_with_check_after_lookup(k):
    cache = kmem_cache_create("conn", sizeof(Request), 0, SLAB_TYPESAFE_BY_RCU, connection_ctor)
    r = Request.at(kmem_cache_alloc(cache, GFP_KERNEL))
    r.generation = 7
    rcu_read_lock()
    found = r
    kmem_cache_free(cache, r)
    again = Request.at(kmem_cache_alloc(cache, GFP_ATOMIC))
    again.generation = 8
    spin_lock(found.lock)
    alive = found.generation == 7
    spin_unlock(found.lock)
    rcu_read_unlock()
    assert not alive
    kmem_cache_free(cache, again)
    kmem_cache_destroy(cache)


def test_bulk_and_zeroed_objects(k):
    cache = KMEM_CACHE(Leaf, 0)
    count, objects = kmem_cache_alloc_bulk(cache, GFP_KERNEL, 20)
    assert count == 20
    for p in objects:
        Leaf.at(p).key = 1
    kmem_cache_free_bulk(cache, count, objects)
    p = kmem_cache_zalloc(cache, GFP_KERNEL)
    assert Leaf.at(p).left == 0
    kmem_cache_free(cache, p)
    kmem_cache_destroy(cache)


def test_cache_whose_payload_goes_to_users(k):
    offset = 64
    cache = kmem_cache_create_usercopy("req", 128, 0, 0, offset, 40, None)
    p = kmem_cache_zalloc(cache, GFP_KERNEL)
    user = k.user()
    buffer = user.buffer(b"x" * 40)
    assert copy_from_user(p + offset, buffer, 40) == 0
    assert copy_to_user(buffer, p + offset, 40) == 0
    kmem_cache_free(cache, p)
    kmem_cache_destroy(cache)


# -- pages ------------------------------------------------------------------------------------------------------------


def test_pages_of_all_shapes(k):
    compound = alloc_pages(GFP_KERNEL | __GFP_COMP, 3)
    get_page(compound + 5)
    assert compound_order(compound) == 3
    assert page_count(compound) == 2
    put_page(compound + 5)
    __free_pages(compound, 3)

    block = alloc_pages(GFP_KERNEL, 2)
    split_page(block, 2)
    for n in range(4):
        __free_page(block + n)

    addr = __get_free_pages(GFP_KERNEL | __GFP_ZERO, 1)
    assert addr[8191] == 0
    assert page_address(virt_to_page(addr)) == addr
    free_pages(addr, 1)

    exact = alloc_pages_exact(5 * 4096, GFP_KERNEL)
    memset(exact, 3, 5 * 4096)
    free_pages_exact(exact, 5 * 4096)

    buffer = get_zeroed_page(GFP_KERNEL)
    SetPageReserved(virt_to_page(buffer))
    ClearPageReserved(virt_to_page(buffer))
    free_page(buffer)
    free_page(0)


def test_array_of_pages_written_through_mappings(k):
    pages = [alloc_page(GFP_KERNEL) for _ in range(8)]
    for n, page in enumerate(pages):
        at = kmap_atomic(page)
        memset(at, n, 4096)
        kunmap_atomic(at)
    for n, page in enumerate(pages):
        at = kmap(page)
        assert at[4095] == n
        kunmap(page)
    to, source = kmap_local_page(pages[0]), kmap_local_page(pages[7])
    memcpy(to, source, 4096)
    kunmap_local(source)
    kunmap_local(to)
    outer = kmap_atomic(pages[1])
    inner = kmap_atomic(pages[2])
    memcpy(outer, inner, 100)
    kunmap_atomic(inner)
    kunmap_atomic(outer)
    for page in pages:
        __free_page(page)


def test_list_of_pages(k):
    cached = LIST_HEAD("cached")
    for n in range(3):
        page = alloc_page(GFP_KERNEL)
        page.private = n
        list_add_tail(page.lru, cached)
    assert [page.private for page in list_for_each_entry(cached, struct_page, "lru")] == [0, 1, 2]
    while not list_empty(cached):
        page = list_first_entry(cached, struct_page, "lru")
        list_del(page.lru)
        page.private = 0
        __free_page(page)


def test_pages_of_a_vmalloc_area(k):
    area = vmalloc(3 * 4096)
    memset(area, 7, 3 * 4096)
    page = vmalloc_to_page(area + 4096)
    at = kmap_local_page(page)
    assert at[0] == 7
    kunmap_local(at)
    vfree(area)


def test_reference_that_outlives_the_free_of_a_block(k):
    block = alloc_pages(GFP_KERNEL, 2)
    get_page(block)
    __free_pages(block, 2)
    put_page(block)


def test_pages_known_only_to_simulated_memory(k):
    table = kcalloc(4, 8, GFP_KERNEL)
    for n in range(4):
        table.ptr[n] = get_zeroed_page(GFP_KERNEL)
        table.ptr[n][0] = n
    assert [table.ptr[n][0] for n in range(4)] == [0, 1, 2, 3]
    for n in range(4):
        free_page(table.ptr[n])
    kfree(table)


# -- contexts and locks -----------------------------------------------------------------------------------------------


class Port:
    def __init__(self):
        self.registry = mutex()
        self.lock = spinlock_t()
        self.stats = spinlock_t()
        self.table = rwlock_t()
        self.sem = rw_semaphore()
        mutex_init(self.registry)
        spin_lock_init(self.lock)
        spin_lock_init(self.stats)
        rwlock_init(self.table)
        init_rwsem(self.sem)


def test_allocations_fit_their_context(k):
    lock = DEFINE_SPINLOCK("lock")
    with k.hardirq():
        kfree(kmalloc(32, GFP_ATOMIC))
    with k.softirq():
        kfree(kzalloc(32, GFP_NOWAIT))
    flags = spin_lock_irqsave(lock)
    p = kmalloc(64, GFP_ATOMIC)
    page = alloc_page(GFP_ATOMIC)
    spin_unlock_irqrestore(lock, flags)
    kfree(p)
    __free_page(page)
    with k.on_cpu(1):
        kfree(kmalloc(64, GFP_KERNEL))


def test_nested_locks_in_one_order(k):
    port = Port()
    for _ in range(3):
        mutex_lock(port.registry)
        down_read(port.sem)
        spin_lock(port.lock)
        spin_lock(port.stats)
        spin_unlock(port.stats)
        spin_unlock(port.lock)
        up_read(port.sem)
        mutex_unlock(port.registry)
    down_write(port.sem)
    kfree(kmalloc(8, GFP_KERNEL))
    up_write(port.sem)
    spin_lock(port.lock)
    spin_lock(port.stats)
    # Locks need not be released in the order of nesting.
    spin_unlock(port.lock)
    spin_unlock(port.stats)


def test_parent_and_child_of_one_class(k):
    ports = [Port(), Port()]
    spin_lock(ports[0].lock)
    spin_lock_nested(ports[1].lock, 1)
    spin_unlock(ports[1].lock)
    spin_unlock(ports[0].lock)


def test_readers_and_writers(k):
    port = Port()

    def handler(irq, dev_id):
        read_lock(dev_id.table)
        read_unlock(dev_id.table)
        return IRQ_HANDLED

    request_irq(5, handler, 0, "port", port)
    read_lock(port.table)
    k.raise_irq(5)
    read_unlock(port.table)
    flags = write_lock_irqsave(port.table)
    write_unlock_irqrestore(port.table, flags)
    flags = read_lock_irqsave(port.table)
    with k.on_cpu(1):
        read_lock(port.table)
        read_unlock(port.table)
    read_unlock_irqrestore(port.table, flags)
    free_irq(5, port)


def test_reclaim_scopes(k):
    noio = memalloc_noio_save()
    nofs = memalloc_nofs_save()
    p = kmalloc(4096, GFP_KERNEL)
    memalloc_nofs_restore(nofs)
    q = __get_free_pages(GFP_KERNEL, 2)
    memalloc_noio_restore(noio)
    kfree(p)
    free_pages(q, 2)


def test_threaded_interrupt(k):
    done, seen = completion(), []
    init_completion(done)

    def thread(irq, dev_id):
        p = kmalloc(100, GFP_KERNEL)
        msleep(1)
        kfree(p)
        seen.append(irq)
        complete(done)
        return IRQ_HANDLED

    assert request_threaded_irq(7, lambda irq, dev_id: IRQ_WAKE_THREAD, thread, 0, "slow", seen) == 0
    k.raise_irq(7)
    wait_for_completion(done)
    assert seen == [7]
    free_irq(7, seen)


# -- tasks ------------------------------------------------------------------------------------------------------------


class Job(Struct):
    node: list_head
    number: u32


class Worker:
    def __init__(self):
        self.jobs = LIST_HEAD("jobs")
        self.lock = spinlock_t()
        self.wait = wait_queue_head_t()
        self.done = []
        spin_lock_init(self.lock)
        init_waitqueue_head(self.wait)

    def post(self, number):
        job = Job.at(kmalloc(sizeof(Job), GFP_KERNEL))
        job.number = number
        flags = spin_lock_irqsave(self.lock)
        list_add_tail(job.node, self.jobs)
        spin_unlock_irqrestore(self.lock, flags)
        wake_up_interruptible(self.wait)

    def work(self):
        while not kthread_should_stop():
            wait_event_interruptible(self.wait, lambda: not list_empty(self.jobs) or kthread_should_stop())
            while not list_empty(self.jobs):
                flags = spin_lock_irqsave(self.lock)
                job = list_first_entry(self.jobs, Job, "node")
                list_del(job.node)
                spin_unlock_irqrestore(self.lock, flags)
                self.done.append(job.number)
                kfree(job)
        return 0


def test_worker_thread_with_wait_queue(k):
    worker = Worker()
    task = kthread_run(Worker.work, worker, "worker/%d", 0)
    assert not IS_ERR(task)
    for number in range(5):
        worker.post(number)
        k.run()
    worker.post(5)
    worker.post(6)
    k.run()
    assert kthread_stop(task) == 0
    assert worker.done == list(range(7))


def test_threads_that_hand_over_a_buffer(k):
    full, empty, mail = completion(), completion(), {}
    init_completion(full)
    init_completion(empty)

    def producer(data):
        for n in range(5):
            mail["p"] = kmalloc(64, GFP_KERNEL)
            mail["p"][0] = n
            complete(full)
            wait_for_completion(empty)
        return 0

    def consumer(got):
        for _ in range(5):
            wait_for_completion(full)
            got.append(mail["p"][0])
            kfree(mail.pop("p"))
            complete(empty)
        return 0

    got: list[int] = []
    kthread_run(producer, None, "producer")
    kthread_run(consumer, got, "consumer")
    k.run()
    assert got == [0, 1, 2, 3, 4]


def test_mutex_among_threads(k):
    guard, total, left = DEFINE_MUTEX("guard"), {"n": 0}, atomic_t()
    queue = wait_queue_head_t()
    init_waitqueue_head(queue)
    atomic_set(left, 0)

    def add(data):
        for _ in range(4):
            mutex_lock(guard)
            n = total["n"]
            msleep(1)
            total["n"] = n + 1
            mutex_unlock(guard)
        if atomic_dec_and_test(left):
            wake_up(queue)
        return 0

    for n in range(3):
        atomic_inc(left)
        kthread_run(add, None, "add/%d", n)
    wait_event(queue, lambda: atomic_read(left) == 0)
    assert total["n"] == 12


# -- drivers with files, modules, kernels -----------------------------------------------------------------------------


class PerOpen(Struct):
    used: u32
    data: u8[200]


def make_device(name):
    def open_(inode, file):
        file.private_data = kzalloc(sizeof(PerOpen), GFP_KERNEL)
        return 0 if file.private_data else -ENOMEM

    def release(inode, file):
        kfree(file.private_data)
        return 0

    def write(file, buf, count, ppos):
        mine = PerOpen.at(file.private_data)
        count = min(count, sizeof(mine.data) - mine.used)
        if copy_from_user(mine.data + mine.used, buf, count):
            return -EFAULT
        mine.used += count
        return count

    def read(file, buf, count, ppos):
        mine = PerOpen.at(file.private_data)
        count = min(count, mine.used - ppos.value)
        if copy_to_user(buf, mine.data + ppos.value, count):
            return -EFAULT
        ppos.value += count
        return count

    def ioctl(file, cmd, arg):
        copied = memdup_user(arg, 16)
        if IS_ERR(copied):
            return PTR_ERR(copied)
        kfree(copied)
        return -EINVAL if cmd else 0

    fops = file_operations(open=open_, release=release, read=read, write=write, unlocked_ioctl=ioctl)
    return miscdevice(minor=MISC_DYNAMIC_MINOR, name=name, fops=fops)


def test_private_data_of_each_open(k):
    misc = make_device("notes")
    assert misc_register(misc) == 0
    p, q = k.user(), k.user()
    a, b = p.open("/dev/notes"), q.open("/dev/notes")
    assert p.write(a, b"first") == 5
    assert q.write(b, b"second") == 6
    assert p.read(a, 100) == b"first"
    assert q.read(b, 3) == b"sec"
    assert p.ioctl(a, 0, p.buffer(16)) == 0
    with pytest.raises(OSError, match="Bad address"):
        p.ioctl(a, 0, 0)
    p.close(a)
    q.exit()
    misc_deregister(misc)


def test_unwinding_of_a_failed_setup(k):
    def setup(fail_at):
        made = []
        try:
            for step, size in enumerate((32, 5000, 64, 9000)):
                p = kmalloc_array(size, 1, GFP_KERNEL) if step != fail_at else Ptr(0)
                if not p:
                    return -ENOMEM
                made.append(p)
            return 0
        finally:
            while made:
                kfree(made.pop())

    assert [setup(n) for n in range(5)] == [-ENOMEM] * 4 + [0]


def test_module_loaded_and_unloaded_again_and_again(k):
    for quantum in (100, 4000, 5000):
        module = k.insmod("sample_drivers.scull", scull_quantum=quantum)
        user = k.user()
        fd = user.open("/dev/scull0")
        assert user.write(fd, b"hello") == 5
        assert user.pread(fd, 5, 0) == b"hello"
        user.close(fd)
        user.exit()
        k.rmmod(module)


SHARED_LOCK = DEFINE_SPINLOCK("shared_lock")
SHARED_MUTEX = DEFINE_MUTEX("shared_mutex")


def test_two_kernels_side_by_side(k):
    p = kmalloc(64, GFP_KERNEL)
    spin_lock(SHARED_LOCK)
    with kmock.boot() as other:
        q = kmalloc(64, GFP_KERNEL)
        spin_lock(SHARED_LOCK)
        spin_unlock(SHARED_LOCK)
        mutex_lock(SHARED_MUTEX)
        mutex_unlock(SHARED_MUTEX)
        kfree(q)
    assert [str(report) for report in other.reports] == []
    spin_unlock(SHARED_LOCK)
    p[0:64] = bytes(64)
    kfree(p)
