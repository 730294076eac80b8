"""A disk's bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kmock.hw.disk import SECTOR_SIZE, Disk

SIZE = 4 * SECTOR_SIZE
PLACES = st.integers(0, SIZE - 1)
STEPS = st.lists(st.one_of(st.tuples(PLACES, st.binary(max_size=2 * SECTOR_SIZE)), PLACES), max_size=8)


@given(STEPS)
def test_a_disk_is_an_array_of_bytes(steps):
    disk = Disk()
    model = bytearray(8 * SECTOR_SIZE)
    for step in steps:
        if isinstance(step, int):
            disk.discard(step)
            model[step:] = bytes(len(model) - step)
        else:
            offset, data = step
            disk.write(offset, data)
            model[offset : offset + len(data)] = data
        assert disk.read(0, len(model)) == model


def test_only_what_was_written_takes_room():
    disk = Disk()
    disk.write(1 << 40, b"x")
    assert len(disk.sectors) == 1
    assert disk.read((1 << 40) - 1, 3) == b"\0x\0"
    assert (disk.reads, disk.writes) == (1, 1)
