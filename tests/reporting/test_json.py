"""A finding as data: complete, of plain types, and of the shape that is written down."""

from __future__ import annotations

import json
import linecache

import kmock
from kmock.lang.ptr import Ptr
from kmock.reporting.json import Finding, Place, finding
from tests.reporting.findings import leak, use_after_free


def test_has_every_key_of_its_type_and_no_other():
    data = finding(use_after_free())
    assert data.keys() == Finding.__annotations__.keys()
    assert data["where"].keys() == Place.__annotations__.keys()


def test_survives_json():
    data = finding(use_after_free(attributes={"at": Ptr(16), "nodes": (0, 1), "order": {1: b"x"}}))
    assert json.loads(json.dumps(data)) == data
    assert data["attributes"] == {"at": 16, "nodes": [0, 1], "order": {"1": "b'x'"}}
    assert type(data["attributes"]["at"]) is int


def test_place_has_file_line_column_and_function():
    where = finding(use_after_free())["where"]
    line = linecache.getline(where["file"], where["line"])
    assert line.endswith("# access\n")
    assert line[where["column"] - 1 :].startswith("take()")
    assert where["function"] == "read"


def test_stacks_are_the_drivers_frames_innermost_first():
    stacks = finding(use_after_free())["stacks"]
    assert list(stacks) == ["allocated", "freed", "access"]
    assert [frame["function"] for frame in stacks["freed"]][:2] == ["free", "use_after_free"]


def test_a_leak_is_blamed_on_its_allocation():
    data = finding(leak())
    assert data["where"]["function"] == "allocate"
    assert data["severity"] == "leak"
    assert data["summary"].startswith("leak-unreachable: 64 bytes from findings.py:")


def test_seed_and_machine_make_it_reproducible():
    data = finding(leak(), kmock.KernelConfig.make("numa2", seed=3))
    assert (data["seed"], data["machine"]) == (3, "numa2")
    assert (finding(leak())["seed"], finding(leak())["machine"]) == (None, None)


def test_a_finding_of_no_driver_has_no_place():
    data = finding(use_after_free(stacks={}, object=None))
    assert data["where"] is None
    assert data["object"] is None
