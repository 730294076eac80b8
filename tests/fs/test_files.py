"""Reading and writing the files of /proc, /sys and debugfs."""

from __future__ import annotations

import errno

import pytest

import kmock


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def failure(act, *args):
    with pytest.raises(OSError) as caught:
        act(*args)
    return caught.value


def test_values_are_read_and_written_as_the_kernel_shows_them(k):
    probability = "/sys/kernel/debug/failslab/probability"
    assert k.read_file(probability) == "0\n"
    k.write_file(probability, "100\n")
    assert k.read_file(probability) == "100\n"
    k.write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N")
    assert k.read_file("/sys/kernel/debug/failslab/ignore-gfp-wait") == "N\n"
    k.write_file("/sys/kernel/debug/fail_page_alloc/times", "-1")
    assert k.read_file("/sys/kernel/debug/fail_page_alloc/times") == "-1\n"


@pytest.mark.parametrize(
    ("file", "text", "number"),
    [
        ("failslab/probability", "many", errno.EINVAL),
        ("failslab/probability", "-1", errno.EINVAL),
        ("failslab/task-filter", "maybe", errno.EINVAL),
        ("fail_page_alloc/min-order", "0x100000000", errno.ERANGE),
    ],
)
def test_values_that_make_no_sense_are_refused(k, file, text, number):
    before = k.read_file(f"/sys/kernel/debug/{file}")
    assert failure(k.write_file, f"/sys/kernel/debug/{file}", text).errno == number
    assert k.read_file(f"/sys/kernel/debug/{file}") == before


def test_numbers_may_be_octal_or_hexadecimal(k):
    k.write_file("/sys/kernel/debug/failslab/interval", "0x10")
    assert k.read_file("/sys/kernel/debug/failslab/interval") == "16\n"
    k.write_file("/sys/kernel/debug/failslab/interval", "010")
    assert k.read_file("/sys/kernel/debug/failslab/interval") == "8\n"


def test_a_path_that_is_not_there_comes_with_the_nearest_one(k):
    error = failure(k.read_file, "/sys/kernel/debug/failslab/probabilty")
    assert error.errno == errno.ENOENT
    assert "did you mean /sys/kernel/debug/failslab/probability?" in str(error)


def test_directions_that_a_file_does_not_have_are_refused(k):
    k.files.add("/proc/kmock-read", read=lambda: "x\n")
    k.files.add("/proc/kmock-write", write=lambda text: None)
    assert k.read_file("/proc/kmock-read") == "x\n"
    assert failure(k.write_file, "/proc/kmock-read", "1").errno == errno.EACCES
    assert failure(k.read_file, "/proc/kmock-write").errno == errno.EACCES


def test_handlers_may_answer_with_an_errno(k):
    k.files.add("/proc/kmock-busy", write=lambda text: -errno.EBUSY)
    assert failure(k.write_file, "/proc/kmock-busy", "1").errno == errno.EBUSY


def test_families_of_files_get_the_names_in_their_path(k):
    k.files.add("/proc/{pid}/kmock", read=lambda pid: f"{pid}\n")
    assert k.read_file("/proc/12/kmock") == "12\n"


def test_every_task_has_its_own_fault_files(k):
    pid = k.current.pid
    k.write_file("/proc/self/make-it-fail", "1\n")
    assert k.read_file(f"/proc/{pid}/make-it-fail") == "1\n"
    assert failure(k.write_file, "/proc/self/make-it-fail", "2").errno == errno.EINVAL
    k.write_file(f"/proc/self/task/{pid}/fail-nth", "3")
    assert k.read_file("/proc/self/fail-nth") == "3\n"
    assert k.current.fail_nth == 3
    assert failure(k.read_file, "/proc/4000/fail-nth").errno == errno.ENOENT


def test_paths_lists_what_there_is(k):
    paths = k.files.paths()
    assert "/sys/kernel/debug/fail_usercopy/probability" in paths
    assert "/proc/{pid}/fail-nth" in paths
    assert paths == sorted(paths)


def test_two_machines_have_files_of_their_own():
    with kmock.boot() as one, kmock.boot() as other:
        one.write_file("/sys/kernel/debug/failslab/times", "7")
        assert other.read_file("/sys/kernel/debug/failslab/times") == "1\n"


def test_the_files_of_memory_are_there(k):
    assert k.read_file("/proc/buddyinfo").startswith("Node 0, zone")
    assert k.read_file("/proc/slabinfo").startswith("slabinfo - version: 2.1")
    assert "nr_free_pages" in k.read_file("/proc/zoneinfo")
    assert k.read_file("/proc/meminfo").startswith("MemTotal:")


def test_min_free_kbytes_moves_the_watermarks(k):
    before = k.page_alloc.zones.zone("DMA32").watermark.min
    kbytes = int(k.read_file("/proc/sys/vm/min_free_kbytes"))
    k.write_file("/proc/sys/vm/min_free_kbytes", str(2 * kbytes))
    assert k.page_alloc.zones.zone("DMA32").watermark.min >= 2 * before
    assert failure(k.write_file, "/proc/sys/vm/watermark_scale_factor", "3001").errno == errno.EINVAL
    assert k.read_file("/proc/sys/vm/watermark_scale_factor") == "10\n"


def test_lowmem_reserve_ratio_takes_part_of_a_line(k):
    first, *others = k.read_file("/proc/sys/vm/lowmem_reserve_ratio").split()
    k.write_file("/proc/sys/vm/lowmem_reserve_ratio", str(2 * int(first)))
    assert k.read_file("/proc/sys/vm/lowmem_reserve_ratio").split() == [str(2 * int(first)), *others]
