"""How header modules answer for names: aliases, mangling, and names they don't have."""

from __future__ import annotations

import sys
import types

import pytest

import kmock
from kmock.linux import gfp
from kmock.linux._header import header_getattr
from kmock.linux._not_built import NOT_BUILT


@pytest.fixture
def header():
    module = types.ModuleType("kmock.linux.made_up")
    module.__alloc = "two underscores"
    module._one = "one underscore"
    module.kmalloc = "none"
    module.__getattr__ = header_getattr(module.__name__, {"vmalloc_huge"})
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


class TestAliases:
    def test_underscores_may_be_left_out(self, header):
        assert header.alloc == "two underscores"
        assert header.one == "one underscore"

    def test_a_class_body_may_use_them(self, header):
        # Python sees header._TestAliases__alloc here.
        assert header.__alloc == "two underscores"
        assert gfp.__GFP_ZERO == gfp.GFP_ZERO == 0x100

    def test_a_mangled_name_is_not_for_guessing(self, header):
        with pytest.raises(AttributeError):
            header._Class__kmalloc_nothing


class TestMissing:
    def test_what_is_not_built_says_so(self, header):
        with pytest.raises(kmock.errors.NotBuiltError, match=r"vmalloc_huge of <linux/made_up.h> is not built yet"):
            header.vmalloc_huge
        with pytest.raises(ImportError, match="not built yet"):
            from kmock.linux.made_up import vmalloc_huge  # noqa: F401 -- never gets there

    def test_what_the_reference_names_and_no_header_has_says_so(self, monkeypatch, header):
        monkeypatch.setitem(NOT_BUILT, "made_up", "vmap vunmap")
        with pytest.raises(kmock.errors.NotBuiltError, match=r"vunmap of <linux/made_up.h> is not built yet"):
            header.vunmap

    def test_a_header_that_is_not_built_says_so(self, monkeypatch):
        monkeypatch.setitem(NOT_BUILT, "made_up", "kmalloc")
        with pytest.raises(kmock.errors.NotBuiltError, match=r"<linux/made_up.h> is not built yet"):
            from kmock.linux.made_up import kmalloc  # noqa: F401 -- never gets there

    def test_a_near_name_is_offered(self, header):
        with pytest.raises(AttributeError, match=r"<linux/made_up.h> has no kmaloc: did you mean kmalloc\?"):
            header.kmaloc
        with pytest.raises(ImportError, match="did you mean kmalloc"):
            from kmock.linux.made_up import kmaloc  # noqa: F401 -- never gets there

    def test_python_asks_for_names_of_its_own(self, header):
        assert not hasattr(header, "__path__")
        assert not hasattr(header, "nothing_like_it_at_all")
