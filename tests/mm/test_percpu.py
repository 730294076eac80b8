"""Per-CPU memory: where units lie, the map of what is taken, chunks that come and go, variables and operations."""

from __future__ import annotations

import random

import pytest

import kmock
from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL
from kmock.linux.percpu import (
    DECLARE_PER_CPU,
    DEFINE_PER_CPU,
    PCPU_MIN_UNIT_SIZE,
    alloc_percpu,
    free_percpu,
    get_cpu_ptr,
    get_cpu_var,
    per_cpu,
    per_cpu_ptr,
    put_cpu_ptr,
    put_cpu_var,
    raw_cpu_add,
    raw_cpu_ptr,
    this_cpu_add,
    this_cpu_add_return,
    this_cpu_and,
    this_cpu_cmpxchg,
    this_cpu_dec_return,
    this_cpu_inc,
    this_cpu_or,
    this_cpu_ptr,
    this_cpu_read,
    this_cpu_sub,
    this_cpu_write,
    this_cpu_xchg,
)
from kmock.linux.percpu import __alloc_percpu as alloc_bytes
from kmock.linux.percpu import __alloc_percpu_gfp as alloc_bytes_gfp
from kmock.linux.percpu import __this_cpu_add as unsafe_add
from kmock.linux.percpu import __this_cpu_read as unsafe_read
from kmock.linux.slab import kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.string import memset
from kmock.linux.types import NULL, Ptr, Struct, s32, u8, u32, u64
from kmock.mm.percpu_units import units_per_atom

hits = DEFINE_PER_CPU(u64, "hits")
seven = DEFINE_PER_CPU(s32, "seven", 7)


class Stats(Struct):
    packets: u64
    bytes: u32
    buckets: u8[4]
    lock: spinlock_t


stats = DEFINE_PER_CPU(Stats, "stats")


def kinds(k):
    return [report.kind for report in k.reports]


class TestUnits:
    @pytest.mark.parametrize(
        ("cpus", "unit"), [([1], 2 << 20), ([2], 1 << 20), ([4], 512 << 10), ([2, 2], 1 << 20), ([32] * 8, 256 << 10)]
    )
    def test_processors_of_a_node_share_two_megabytes(self, cpus, unit):
        assert (2 << 20) // units_per_atom(cpus) == unit

    @pytest.mark.parametrize("machine", [{}, {"cpus": 1, "memory": "8M"}, {"cpus": 64}, {"cpus": 3, "memory": "96M"}])
    def test_first_chunk_lies_in_memory_that_nobody_else_gets(self, machine):
        with kmock.boot(**machine) as k:
            free = k.page_alloc.nr_free_pages
            p = alloc_percpu(u64)
            for cpu in range(len(k.cpus)):
                there = per_cpu_ptr(p, cpu)
                phys = int(there) - k.layout.page_offset
                assert k.ram.exists(phys)
                assert not k.page_alloc.is_free(int(there))
                there.value = cpu + 1
            assert [per_cpu_ptr(p, cpu).value for cpu in range(len(k.cpus))] == list(range(1, len(k.cpus) + 1))
            assert k.page_alloc.nr_free_pages == free
            free_percpu(p)
        assert not k.reports

    def test_units_are_on_their_processors_nodes(self):
        with kmock.boot(cpus=4, memory="1G", nodes=2) as k:
            p = alloc_percpu(u64)
            ranges = k.config.node_ranges()
            for cpu in range(4):
                phys = int(per_cpu_ptr(p, cpu)) - k.layout.page_offset
                assert any(a <= phys < b for a, b in ranges[k.config.cpu_to_node(cpu)])
            free_percpu(p)

    def test_more_processors_than_memory_holds_units_of_do_not_come_up(self):
        with kmock.boot(cpus=64, memory="16M"), pytest.raises(kmock.KernelPanic, match="percpu area"):
            alloc_percpu(u64)


class TestMap:
    def test_places_do_not_overlap_and_come_back(self):
        dice = random.Random(6)
        with kmock.boot(memory="128M") as k:
            held = {}
            for _ in range(600):
                if held and dice.random() < 0.45:
                    p, mark, size = held.pop(dice.choice(sorted(held)))
                    for cpu in range(2):
                        assert per_cpu_ptr(p, cpu)[0:size] == bytes([mark ^ cpu]) * size
                    free_percpu(p)
                else:
                    size, align = dice.randint(1, 9000), 1 << dice.randint(0, 12)
                    p = alloc_bytes(size, align)
                    mark = dice.randint(2, 255) & ~1
                    for cpu in range(2):
                        copy = per_cpu_ptr(p, cpu)
                        assert int(copy) % align == 0
                        assert copy[0:size] == bytes(size)
                        memset(copy, mark ^ cpu, size)
                    held[int(p)] = p, mark, size
            for p, _, _ in held.values():
                free_percpu(p)
            first, *others = k.percpu.chunks
            assert sum(first.holes.values()) == first.size
            assert [dict(chunk.holes) for chunk in others] == [{0: chunk.size} for chunk in others]
            assert len(others) == 1
            assert k.percpu.living() == []
        assert not k.reports

    def test_another_chunk_is_mapped_page_by_page_and_given_back(self):
        with kmock.boot() as k:
            areas = [alloc_bytes(PCPU_MIN_UNIT_SIZE, 8) for _ in range(70)]
            far = per_cpu_ptr(areas[-1], 1)
            assert k.layout.is_vmalloc(int(far))
            far[4090:4100] = b"0123456789"
            assert far[4090:4100] == b"0123456789"
            assert len(k.percpu.chunks) == 4
            for p in areas:
                free_percpu(p)
            assert len(k.percpu.chunks) == 2
            with pytest.raises(kmock.KernelOops):
                far[0]
        assert kinds(k) == ["percpu-use-after-free"]

    def test_atomic_allocation_finds_only_what_has_pages(self):
        with kmock.boot() as k:
            held = []
            while p := alloc_bytes_gfp(4096, 8, GFP_ATOMIC):
                held.append(p)
            assert held
            held.append(alloc_bytes(4096, 8))
            assert not alloc_bytes_gfp(4096, 8, GFP_ATOMIC)
            free_percpu(held.pop())
            held.append(alloc_bytes_gfp(4096, 8, GFP_ATOMIC))
            assert held[-1]
            for p in held:
                free_percpu(p)
        assert not k.reports

    def test_failure_is_told_ten_times(self):
        with kmock.boot() as k:
            k.faults.fail_page_alloc(ignore_gfp_wait=False, ignore_gfp_highmem=False, min_order=0, times=-1, verbose=0)
            held = [alloc_bytes(16384, 8)]
            assert [alloc_bytes(16384, 8) for _ in range(12)] == [NULL] * 12
            k.faults.clear()
            said = k.dmesg()
            assert said.count("percpu: allocation failed, size=16384 align=8 atomic=0, failed to populate") == 10
            assert said.count("percpu: limit reached, disable warning") == 1
            assert len(k.percpu.living()) == 1
            free_percpu(held[0])
        assert not k.reports

    def test_each_call_can_be_made_to_fail(self):
        with kmock.boot() as k:
            k.faults.fail_nth(2)
            p, q = alloc_percpu(u64), alloc_percpu(u64)
            assert p
            assert q == NULL
            with pytest.raises(kmock.KernelOops):
                per_cpu_ptr(q, 0).value = 1
            free_percpu(p)
            free_percpu(q)
        assert kinds(k) == ["slab-null-unchecked"]


class TestVariables:
    def test_each_kernel_has_its_own(self):
        with kmock.boot():
            per_cpu(hits, 1).value = 5
            assert [per_cpu(hits, cpu).value for cpu in (0, 1)] == [0, 5]
            with kmock.boot():
                assert per_cpu(hits, 1).value == 0
            assert per_cpu(hits, 1).value == 5

    def test_initial_value(self):
        with kmock.boot(cpus=3):
            assert [per_cpu(seven, cpu).value for cpu in range(3)] == [7, 7, 7]

    def test_declaration_finds_the_definition(self):
        with kmock.boot():
            per_cpu(hits, 0).value = 3
            assert per_cpu(DECLARE_PER_CPU(u64, "hits"), 0).value == 3
            with pytest.raises(NameError, match="no module defines"):
                per_cpu(DECLARE_PER_CPU(u64, "nowhere"), 0)

    def test_struct(self):
        with kmock.boot() as k:
            mine = per_cpu(stats, 1)
            mine.packets = 3
            mine.buckets[2] = 9
            spin_lock_init(mine.lock)
            spin_lock(mine.lock)
            spin_unlock(mine.lock)
            this_cpu_add(stats.bytes, 1500)
            assert (per_cpu(stats, 0).bytes, mine.bytes, per_cpu(stats, 1).packets) == (1500, 0, 3)
            with pytest.raises(AttributeError, match="no member 'packet'"):
                this_cpu_inc(stats.packet)
        assert not k.reports

    def test_more_than_fits_is_refused(self):
        big = DEFINE_PER_CPU(u8 * (1 << 18), "big")
        with kmock.boot(), pytest.raises(ValueError, match="big: could not allocate 262144 bytes percpu data"):
            per_cpu(big, 0)

    def test_pointer_keeps_its_provenance(self):
        slot = DEFINE_PER_CPU(Ptr, "slot")
        with kmock.boot() as k:
            per_cpu(slot, 1).value = kzalloc(8, GFP_KERNEL)
            kfree(per_cpu(slot, 1).value)
            per_cpu(slot, 1).value[0]
            assert kinds(k) == ["slab-use-after-free-read"]

    def test_overrun_of_one_is_found_though_another_follows(self):
        with kmock.boot() as k:
            per_cpu(hits, 0).u64[1] = 1
        assert kinds(k) == ["percpu-out-of-bounds"]

    def test_freeing_a_variable(self):
        with kmock.boot() as k, pytest.raises(kmock.KernelOops):
            free_percpu(hits)
        assert kinds(k) == ["percpu-free-bad"]

    def test_processor_that_does_not_exist(self):
        with kmock.boot() as k, pytest.raises(kmock.KernelOops):
            per_cpu(hits, 2).value += 1
        assert kinds(k) == ["wild-pointer-deref"]


class TestOperations:
    def test_act_on_this_processors_copy(self):
        with kmock.boot() as k:
            with k.on_cpu(1):
                this_cpu_inc(hits)
            this_cpu_add(hits, 10)
            this_cpu_sub(hits, 3)
            assert [per_cpu(hits, cpu).value for cpu in (0, 1)] == [7, 1]
            assert this_cpu_add_return(hits, 5) == 12
            this_cpu_and(hits, 8)
            this_cpu_or(hits, 3)
            assert this_cpu_read(hits) == 11
            assert this_cpu_xchg(hits, 20) == 11
            assert this_cpu_cmpxchg(hits, 19, 1) == 20
            assert this_cpu_cmpxchg(hits, 20, 0) == 20
            assert this_cpu_dec_return(hits) == (1 << 64) - 1
            this_cpu_write(hits, 2)
            assert raw_cpu_ptr(hits).value == 2
        assert not k.reports

    def test_need_a_scalar(self):
        with kmock.boot():
            p = alloc_bytes(8, 8)
            with pytest.raises(TypeError, match="memory of no type"):
                this_cpu_inc(p)
            with pytest.raises(TypeError, match="name a member"):
                this_cpu_inc(stats)
            free_percpu(p)

    def test_double_underscores_say_what_they_are_in_preemptible_code(self):
        with kmock.boot() as k:
            unsafe_add(hits, 1)
            assert unsafe_read(hits) == 1
            get_cpu_var(hits)
            unsafe_add(hits, 1)
            put_cpu_var(hits)
            this_cpu_ptr(hits)
        said = [r.headline.partition(" in preemptible")[0] for r in k.reports]
        assert said == [
            "BUG: using __this_cpu_add()",
            "BUG: using __this_cpu_read()",
            "BUG: using smp_processor_id()",
        ]
        assert set(kinds(k)) == {"percpu-preemptible"}

    def test_softirq_splits_what_leaves_bottom_halves_on(self):
        with kmock.boot() as k:
            raw_cpu_add(hits, 1)
            with k.softirq():
                this_cpu_inc(hits)
            with k.softirq():
                this_cpu_inc(hits)
        assert kinds(k) == ["percpu-irq-unsafe"]

    def test_members_are_counted_apart(self):
        with kmock.boot() as k:
            raw_cpu_add(stats.packets, 1)
            with k.hardirq():
                this_cpu_inc(stats.bytes)
        assert not k.reports


class TestMisuse:
    def test_interior_free(self):
        with kmock.boot() as k:
            p = alloc_bytes(16, 8)
            free_percpu(p + 8)
            assert kinds(k) == ["percpu-free-bad"]
            free_percpu(p)
        assert len(k.reports) == 1

    def test_number_finds_its_allocation(self):
        with kmock.boot() as k:
            p = int(alloc_bytes(16, 8))
            per_cpu_ptr(Ptr(p), 1).u64[1] = 4
            free_percpu(p)
            free_percpu(p)
        assert kinds(k) == ["percpu-double-free"]

    def test_stale_copy_of_reused_memory(self):
        with kmock.boot() as k:
            p = alloc_percpu(u64)
            stale = per_cpu_ptr(p, 0)
            free_percpu(p)
            q = alloc_percpu(u64)
            assert q == p
            stale.value = 1
            assert "now belongs to CPU 0's copy" in "\n".join(k.reports[0].lines)
            free_percpu(q)
        assert kinds(k) == ["percpu-use-after-free"]

    def test_get_without_put_at_the_end_of_an_interrupt(self):
        with kmock.boot() as k:
            p = alloc_percpu(u64)
            with k.hardirq():
                get_cpu_ptr(p)
            free_percpu(p)
        assert kinds(k) == ["percpu-get-put-imbalance"]

    def test_kmalloc_while_pinned(self):
        with kmock.boot() as k:
            p = alloc_percpu(u64)
            get_cpu_ptr(p)
            kfree(kzalloc(8, GFP_KERNEL))
            put_cpu_ptr(p)
            free_percpu(p)
        assert kinds(k) == ["percpu-sleep-while-pinned"]
        assert k.reports[0].is_a("sleep-in-atomic")
