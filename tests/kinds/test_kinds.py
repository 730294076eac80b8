"""Each kind of finding fires on the smallest program that has the mistake, and not on its correct twin."""

from __future__ import annotations

import pytest

from kmock import kinds
from kmock.reporting.normalise import normalise
from kmock.reporting.terminal import render
from tests.kinds import programs


@pytest.mark.parametrize("kind", programs.names("fire"))
def test_fires(kind, request):
    file = programs.path("fire", kind)
    reports, config = programs.play(file, kind)
    found = [r for r in reports if r.kind == kind]
    assert found, f"reported was {[str(r) for r in reports] or 'nothing'}"
    where = found[0].where
    assert where is not None
    assert (where.file, where.line) == (str(file), programs.marked_line(file))
    also = [f"also: {r.headline} [{r.kind}]" for r in reports if r is not found[0]]
    printed = normalise("\n".join([render(found[0], config), *also])) + "\n"
    golden = file.with_suffix(".txt")
    if request.config.getoption("--update-golden", default=False):
        golden.write_text(printed, encoding="utf-8")
    assert golden.exists(), "no golden text yet: run `pytest tests/kinds --update-golden` and look at what it wrote"
    assert printed == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", programs.names("silent"))
def test_stays_silent(kind):
    reports, _ = programs.play(programs.path("silent", kind), kind)
    assert [str(r) for r in reports] == []


def test_every_program_has_its_twin():
    assert programs.names("fire") == programs.names("silent")


def test_every_program_is_of_a_kind_in_the_catalogue():
    assert not {*programs.names("fire"), *programs.names("silent")} - kinds.catalogue().keys()


def test_no_golden_text_is_left_over():
    texts = {path.stem for path in (programs.HERE / "fire").glob("*.txt")}
    assert not texts - set(programs.names("fire"))


def test_every_kind_that_fires_tells_how_to_mend_it():
    assert [kind for kind in programs.names("fire") if not kinds.kind(kind).hint] == []
