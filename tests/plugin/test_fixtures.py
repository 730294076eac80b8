"""The fixtures, in every kind of test that pytest runs."""

from __future__ import annotations

import typing

import pytest

from kmock.plugin import types


def test_kernel_is_booted_and_current(kernel):
    from kmock.current import current

    assert current.kernel is kernel
    assert kernel.phase == "call"


def test_dmesg_is_the_log_at_the_moment_it_is_looked_at(kernel, dmesg):
    assert "scull" not in dmesg
    kernel.log.write("scull: registered")
    assert "scull: registered" in dmesg
    assert dmesg() == str(dmesg) == kernel.dmesg()
    assert [line.endswith("scull: registered") for line in dmesg].count(True) == 1
    assert repr(dmesg) == f"<dmesg of {len(kernel.dmesg().splitlines())} lines>"


def test_faults_are_the_kernels(kernel, faults):
    assert faults is kernel.faults


def test_device_can_do_dma(kernel, device):
    from kmock.linux.dma_mapping import dma_alloc_coherent, dma_free_coherent
    from kmock.linux.gfp import GFP_KERNEL

    ring, dma = dma_alloc_coherent(device, 4096, GFP_KERNEL)
    kernel.dma_write(device, dma, b"frame")
    assert ring[0:5] == b"frame"
    dma_free_coherent(device, 4096, ring, dma)


def test_user_is_a_process(kernel, user):
    assert type(user).__name__ == "Process"


def test_percpu_is_a_number_for_every_processor(kernel, percpu):
    from kmock.linux.percpu import per_cpu_ptr, this_cpu_inc

    this_cpu_inc(percpu)
    assert [per_cpu_ptr(percpu, cpu).value for cpu in range(2)] == [1, 0]


def test_mempool_gives_elements_and_is_destroyed(mempool):
    from kmock.linux.gfp import GFP_KERNEL
    from kmock.linux.mempool import mempool_alloc, mempool_free

    element = mempool_alloc(mempool, GFP_KERNEL)
    element[0:64] = bytes(64)
    mempool_free(element, mempool)
    assert mempool.curr_nr == 4


def test_mempool_may_be_destroyed_by_the_test(mempool):
    from kmock.linux.mempool import mempool_destroy

    mempool_destroy(mempool)


def test_dma_pool_gives_blocks_and_is_destroyed(kernel, device, dma_pool):
    from kmock.linux.dmapool import dma_pool_alloc, dma_pool_free
    from kmock.linux.gfp import GFP_KERNEL

    block, handle = dma_pool_alloc(dma_pool, GFP_KERNEL)
    kernel.dma_write(device, handle, b"seen")
    assert block[0:4] == b"seen"
    dma_pool_free(dma_pool, block, handle)


def test_dma_pool_may_be_destroyed_by_the_test(dma_pool):
    from kmock.linux.dmapool import dma_pool_destroy

    dma_pool_destroy(dma_pool)


def test_percpu_may_be_freed_by_the_test(percpu):
    from kmock.linux.percpu import free_percpu

    free_percpu(percpu)
    assert not percpu.origin.live


def test_types_are_exported_for_annotations():
    for name in types.__all__:
        assert isinstance(getattr(types, name), type)
    assert typing.get_type_hints(types.Dmesg.__call__)["return"] is str


class TestInClasses:
    def test_method(self, kernel):
        assert kernel.config.cpus == 2


CONTEXTS = """
    seen = []

    def test_it(gfp_context, kernel):
        seen.append(gfp_context.name)
        atomic = bool(kernel.cpu.preempt_count or kernel.cpu.irqs_off)
        assert gfp_context.atomic == atomic
        kfree(kmalloc(64, gfp_context.gfp))

    def test_all_came():
        assert seen == ["process", "softirq", "hardirq", "spinlock", "noio", "nofs"]
"""


def test_gfp_context_runs_the_call_in_each_context(suite):
    suite.run(CONTEXTS).assert_outcomes(passed=7)


def test_gfp_context_tells_the_best_legal_mask(suite):
    result = suite.run(
        """
        from kmock.linux.gfp import GFP_NOFS, GFP_NOIO

        BEST = dict(
            process=GFP_KERNEL, softirq=GFP_ATOMIC, hardirq=GFP_ATOMIC, spinlock=GFP_ATOMIC, noio=GFP_NOIO, nofs=GFP_NOFS
        )

        def test_it(gfp_context): assert gfp_context.gfp == BEST[gfp_context.name]
        """
    )
    result.assert_outcomes(passed=6)


def test_driver_that_sleeps_fails_in_the_atomic_contexts_only(suite):
    result = suite.run("def test_it(gfp_context): scull_close(scull_open())")
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(
        [
            "FAILED test_scull.py::test_it[[]softirq[]] - alloc-gfp-kernel-in-softirq: *",
            "FAILED test_scull.py::test_it[[]hardirq[]] - alloc-gfp-kernel-in-hardirq: *",
            "FAILED test_scull.py::test_it[[]spinlock[]] - alloc-gfp-kernel-under-spinlock: *",
        ]
    )


def test_gfp_context_is_left_before_fixtures_clean_up(suite):
    result = suite.run(
        """
        @pytest.fixture
        def dev(kernel):
            yield scull_open()
            assert not kernel.cpu.preempt_count

        def test_it(dev, gfp_context):
            kfree(dev)
            assert gfp_context.name != "hardirq"
        """
    )
    result.assert_outcomes(passed=5, failed=1)


def test_kernel_asked_for_by_the_test_itself(suite):
    result = suite.run(
        """
        def test_leak(request):
            request.getfixturevalue("kernel")
            scull_open()

        def test_correct(request):
            request.getfixturevalue("kernel")
            scull_close(scull_open())
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["E   leak-unreachable: *"])


def test_unittest_classes(suite):
    result = suite.run(
        """
        @pytest.mark.usefixtures("kernel")
        class TestScull(unittest.TestCase):
            def test_correct(self): scull_close(scull_open())

            def test_leak(self): scull_open()

            def test_genuine(self):
                scull_close_twice(scull_open())
                self.assertEqual(1, 2)

            def test_oops(self): NULL[3]

            @pytest.mark.expect_report("null-deref")
            def test_announced(self): NULL[3]
        """
    )
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines(
        [
            "FAILED test_scull.py::TestScull::test_genuine - AssertionError: 1 != 2",
            "FAILED test_scull.py::TestScull::test_leak - leak-unreachable: 64 bytes from *",
            "FAILED test_scull.py::TestScull::test_oops - null-deref: test_scull.py:* in *",
        ]
    )
    result.stdout.fnmatch_lines(["*- kmock reports -*", "slab-double-free: *"])


def test_usefixtures_in_plain_classes(suite):
    result = suite.run(
        """
        @pytest.mark.kernel(cpus=3)
        @pytest.mark.usefixtures("kernel")
        class TestScull:
            def test_correct(self): scull_close(scull_open())

            def test_leak(self): scull_open()
        """
    )
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.kernel(cpus=3)
def test_marker_reaches_the_fixture(kernel):
    assert kernel.config.cpus == 3
