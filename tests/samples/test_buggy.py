"""Every buggy sample is caught at a line of its own, and is clean but for its one mistake."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sample_drivers.buggy as package
from kmock import kinds
from sample_drivers import demo
from sample_drivers.buggy import BUGS

FOLDER = Path(package.__file__).parent


@pytest.mark.parametrize("name", BUGS)
def test_is_caught(name):
    kernel = demo.run_buggy(name, BUGS[name])
    (found,) = [r for r in kernel.reports if r.is_a(BUGS[name].kind)]
    assert found.where is not None
    assert Path(found.where.file) == FOLDER / f"{name}.py"
    assert [str(r) for r in kernel.reports if r is not found and r.kind not in BUGS[name].also] == []


@pytest.mark.parametrize("name", BUGS)
def test_its_text_says_what_is_wrong(name):
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text()))
    assert text is not None
    assert "Wrong:" in text
    assert "Right:" in text
    assert f"Expected: ``{BUGS[name].kind}``" in text


def test_the_table_is_complete():
    assert set(BUGS) == {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {bug.kind for bug in BUGS.values()} <= kinds.catalogue().keys()


class TestDemo:
    def test_all_is_well(self, capsys):
        assert demo.main() == 0
        said = capsys.readouterr().out
        assert (
            f"{len(demo.GOOD)} of {len(demo.GOOD)} good drivers clean, {len(BUGS)} of {len(BUGS)} mistakes caught"
            in said
        )
        assert "> 27 | label[count] = 0" in said

    def test_an_escape_is_noticed(self, capsys, monkeypatch):
        monkeypatch.setattr(demo, "BUGS", {"off_by_one": package.Bug("slab-double-free", BUGS["off_by_one"].provoke)})
        assert demo.main() == 1
        assert "ESCAPED  expected slab-double-free" in capsys.readouterr().out

    def test_a_good_driver_flagged_is_noticed(self, capsys, monkeypatch):
        def leak(kernel, name):
            from kmock.linux.slab import GFP_KERNEL, kmalloc

            kmalloc(8, GFP_KERNEL)
            return ""

        monkeypatch.setattr(demo, "scull_traffic", leak)
        monkeypatch.setattr(demo, "BUGS", {})
        assert demo.main() == 1
        assert "FLAGGED" in capsys.readouterr().out
