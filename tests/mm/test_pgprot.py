"""Protections of pages, and the cache attributes in them (``arch/x86/include/asm/pgtable_types.h``)."""

from __future__ import annotations

import pytest

from kmock.linux import pgtable
from kmock.linux.pgtable import (
    PAGE_COPY,
    PAGE_KERNEL_NOCACHE,
    PAGE_NONE,
    PAGE_READONLY,
    PAGE_SHARED,
    pgprot_decrypted,
    pgprot_device,
    pgprot_encrypted,
    pgprot_modify,
    pgprot_noncached,
    pgprot_nx,
    pgprot_val,
    pgprot_writecombine,
    pgprot_writethrough,
    pte_dirty,
    pte_none,
    pte_pfn,
    pte_present,
    pte_special,
    pte_val,
    pte_write,
    pte_young,
)
from kmock.mm import memtype
from kmock.mm.pgprot import pgprot2cachemode, with_cachemode


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (pgprot_noncached, memtype.UC_MINUS),
        (pgprot_device, memtype.UC_MINUS),
        (pgprot_writecombine, memtype.WC),
        (pgprot_writethrough, memtype.WT),
        (pgprot_decrypted, memtype.WB),
        (pgprot_encrypted, memtype.WB),
        (pgprot_nx, memtype.WB),
    ],
)
def test_what_each_makes_of_write_back(function, kind):
    assert pgprot2cachemode(function(PAGE_SHARED)) == kind


def test_attributes_are_combined_by_or_as_in_the_kernel():
    assert pgprot2cachemode(pgprot_noncached(pgprot_writecombine(PAGE_SHARED))) == memtype.UC
    assert pgprot2cachemode(PAGE_KERNEL_NOCACHE) == memtype.UC


@pytest.mark.parametrize("kind", range(6))
def test_every_attribute_comes_back(kind):
    assert pgprot2cachemode(with_cachemode(PAGE_READONLY, kind)) == kind


def test_mprotect_keeps_the_attribute():
    modified = pgprot_modify(pgprot_writecombine(PAGE_SHARED), PAGE_READONLY)
    assert pgprot2cachemode(modified) == memtype.WC
    assert not pte_write(modified)


def test_entries():
    entry = 0x1234 << 12 | PAGE_SHARED | 1 << 6 | 1 << 9
    assert (pte_pfn(entry), pte_val(entry)) == (0x1234, entry)
    assert pte_present(entry)
    assert pte_present(PAGE_NONE)
    assert pte_write(entry)
    assert pte_dirty(entry)
    assert pte_young(entry)
    assert pte_special(entry)
    assert pte_none(0)
    assert not pte_none(entry)


def test_numbers_are_protections():
    assert pgtable.pgprot(pgprot_val(PAGE_COPY)) == PAGE_READONLY
