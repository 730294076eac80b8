"""The expression that a stack points at, and its excerpt."""

from __future__ import annotations

import linecache

from kmock.reporting.source import Spot, excerpt, shown_path, spot
from kmock.stack import capture


def here(_value=None):
    return capture(2)


def numbered(tmp_path, *lines):
    file = tmp_path / "driver.py"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def test_spot_is_the_very_call():
    pair = (1, here(len("a")))
    found = spot(pair[1])
    assert found.function == "test_spot_is_the_very_call"
    line = linecache.getline(__file__, found.line)
    assert line[found.column : found.end_column] == 'here(len("a"))'


def test_columns_count_characters_not_bytes():
    pair = ("ä€", here())
    found = spot(pair[1])
    line = linecache.getline(__file__, found.line)
    assert line[found.column : found.end_column] == "here()"


def test_call_over_several_lines_is_marked_to_the_end_of_its_first():
    stack = here(
        1,
    )
    found = spot(stack)
    line = linecache.getline(__file__, found.line)
    assert line[found.column : found.end_column] == "here("


def test_no_spot_in_an_empty_stack():
    assert spot(()) is None


def test_excerpt_keeps_indentation_relative(tmp_path):
    file = numbered(tmp_path, "def f():", "    if x:", "        kfree(p)")
    assert excerpt(Spot(file, 3, "f", 8, 16)) == [
        "  1 | def f():",
        "  2 |     if x:",
        "> 3 |         kfree(p)",
        "    |         ^^^^^^^^",
    ]


def test_excerpt_leaves_out_blank_lines_at_its_top(tmp_path):
    file = numbered(tmp_path, "a()", "", "b()")
    assert excerpt(Spot(file, 3, "f", 0, 3), context=1) == ["> 3 | b()", "    | ^^^"]


def test_unknown_columns_mark_the_whole_line(tmp_path):
    file = numbered(tmp_path, "  kfree(p)  # twice")
    assert excerpt(Spot(file, 1, "f", 0, 0)) == ["> 1 | kfree(p)  # twice", "    | ^^^^^^^^^^^^^^^^^"]


def test_tabs_are_widened_above_the_caret_too(tmp_path):
    file = numbered(tmp_path, "\tx =\tkfree(p)")
    rows = excerpt(Spot(file, 1, "f", 5, 13))
    assert rows[1].index("^") == rows[0].index("kfree")


def test_line_numbers_stand_right(tmp_path):
    file = numbered(tmp_path, *["f()"] * 10)
    assert excerpt(Spot(file, 10, "f", 0, 3), context=1) == ["   9 | f()", "> 10 | f()", "     | ^^^"]


def test_long_lines_are_cut(tmp_path):
    file = numbered(tmp_path, "f(" + "x" * 200 + ")")
    assert [len(row) for row in excerpt(Spot(file, 1, "f", 0, 1), width=40)] == [40, 7]


def test_no_excerpt_of_what_cannot_be_read():
    assert excerpt(Spot("/nowhere/driver.py", 3, "f", 0, 1)) == []


def test_paths_are_seen_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(str(tmp_path / "drivers" / "scull.py")) == "drivers/scull.py"
    assert shown_path("/elsewhere/scull.py") == "/elsewhere/scull.py"


def test_place_of_module_level_code_names_no_function():
    assert Spot("/x/scull.py", 4, "<module>", 0, 0).place == "scull.py:4"
    assert Spot("/x/scull.py", 4, "scull_open", 0, 0).place == "scull.py:4 in scull_open"
