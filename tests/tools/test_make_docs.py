"""The pages under docs/ are those that the source draws now."""

from __future__ import annotations

import pytest

from tests.tools.callers import callers
from tests.tools.make_docs import DOCS, FAMILIES, PAGES, built_functions, kinds


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_every_family_has_its_name():
    assert {kind.family for kind in kinds.catalogue().values()} == FAMILIES.keys()


def test_every_function_has_a_test():
    tested = callers()
    assert [name for name in built_functions() if name not in tested] == []
