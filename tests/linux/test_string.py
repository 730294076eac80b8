"""<linux/string.h>: results as in C, every access checked."""

from __future__ import annotations

import ctypes

import pytest

import kmock
from kmock.linux.errno import E2BIG, EINVAL, ERANGE
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.kstrtox import kstrtobool, kstrtoint, kstrtou8, kstrtoul, simple_strtol, simple_strtoul
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.string import (
    kmemdup,
    kstrdup,
    kstrndup,
    match_string,
    memchr,
    memchr_inv,
    memcmp,
    memcpy,
    memmove,
    memset,
    memset32,
    memzero_explicit,
    scnprintf,
    snprintf,
    sprintf,
    strcasecmp,
    strcat,
    strchr,
    strcmp,
    strcpy,
    strim,
    strlcat,
    strlcpy,
    strlen,
    strncat,
    strncmp,
    strncpy,
    strnlen,
    strrchr,
    strscpy,
    strscpy_pad,
    strstr,
    sysfs_streq,
)
from kmock.linux.types import NULL, Struct, addressof, u8, u32


class named(Struct):
    name: u8[8]
    flags: u32


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.shutdown()
        assert not kernel.reports.unexpected


@pytest.fixture
def p(k):
    memory = kmalloc(32, GFP_KERNEL)
    memset(memory, 0xEE, 32)
    yield memory
    kfree(memory)


class TestMemory:
    def test_copying_and_filling(self, p):
        assert memcpy(p, b"abcd", 4) is p
        assert memmove(p + 1, p, 4) == p + 1
        assert p[0:6] == b"aabcd\xee"
        memset(p, 0x1FF, 2)
        memset32(p + 4, 0x01020304, 2)
        assert p[0:12] == b"\xff\xffbc\4\3\2\1\4\3\2\1"
        memzero_explicit(p, 12)
        assert p[0:13] == bytes(12) + b"\xee"

    def test_comparing(self, p):
        memcpy(p, b"abc", 4)
        assert memcmp(p, b"abc", 3) == 0
        assert memcmp(p, b"abd", 3) < 0
        assert memcmp(p, b"abb", 3) > 0
        assert memcmp(p, b"xyz", 0) == 0

    def test_searching(self, p):
        memcpy(p, b"abc", 4)
        assert memchr(p, "c", 4) == p + 2
        assert memchr(p, ord("z"), 4) == NULL
        assert memchr_inv(p + 4, 0xEE, 8) == NULL
        assert memchr_inv(p, ord("a"), 4) == p + 1

    def test_local_arrays_may_be_pythons(self, p):
        buf = bytearray(8)
        memcpy(buf, "text", 5)
        assert buf == b"text\0\0\0\0"
        memcpy(p, buf, 8)
        assert p[0:8] == buf
        array = (ctypes.c_char * 4)()
        memcpy(array, p, 4)
        assert array.raw == b"text"
        strcpy(buf, "ab")
        strcat(buf, "cd")
        assert buf[0:5] == b"abcd\0"

    def test_beyond_a_local_array(self, k):
        with k.expect("stack-out-of-bounds", count=1):
            memset(bytearray(4), 0, 5)
        with k.expect("global-out-of-bounds", count=1):
            memcmp("abcdef", "abc", 5)

    def test_overlap_is_for_memmove(self, k, p):
        with k.expect("memcpy-overlap", count=1) as found:
            memcpy(p, p + 4, 8)
        assert found[0].attributes == {"size": 8, "overlap": 4}
        memcpy(p, p + 8, 8)
        memcpy(p, p, 8)

    def test_a_member_is_not_to_be_overrun(self, k):
        n = named.at(kmalloc(12, GFP_KERNEL))
        with k.expect("intra-object-overflow", count=1) as found:
            memcpy(addressof(n.name), b"123456789", 9)
        assert found[0].headline == "memcpy: detected field-spanning write (size 9) of single field (size 8)"
        memset(addressof(n), 0, 12)
        kfree(addressof(n))

    def test_beyond_an_object(self, k, p):
        with k.expect("slab-out-of-bounds-right", count=1) as found:
            memcpy(p, bytes(33), 33)
        assert found[0].attributes["size"] == 33


class TestStrings:
    def test_lengths(self, p):
        strcpy(p, "hello")
        assert strlen(p) == strlen("hello") == 5
        assert strnlen(p, 3) == 3
        assert strnlen(p, 30) == 5

    def test_strncpy_pads_and_does_not_terminate(self, p):
        strncpy(p, "abc", 5)
        assert p[0:6] == b"abc\0\0\xee"
        strncpy(p, "abcdef", 5)
        assert p[0:6] == b"abcde\xee"

    def test_strscpy_cuts_and_says_so(self, p):
        assert strscpy(p, "abc", 8) == 3
        assert strscpy(p, "abcdef", 4) == -E2BIG
        assert p[0:5] == b"abc\0\xee"
        assert strscpy(p, "abc", 0) == -E2BIG
        assert strscpy_pad(p, "a", 4) == 1
        assert p[0:4] == b"a\0\0\0"

    def test_strlcpy_returns_what_it_wanted(self, p):
        assert strlcpy(p, "abcdef", 4) == 6
        assert p[0:4] == b"abc\0"

    def test_appending(self, p):
        strcpy(p, "ab")
        strcat(p, "cd")
        strncat(p, "efgh", 2)
        assert strcmp(p, "abcdef") == 0
        assert strlcat(p, "ghij", 8) == 10
        assert strcmp(p, "abcdefg") == 0

    def test_comparing(self):
        with kmock.boot():
            assert strcmp("abc", "abc") == 0
            assert strcmp("abc", "abd") < 0
            assert strcmp("abc", "ab") > 0
            assert strncmp("abcd", "abxx", 2) == 0
            assert strcasecmp("ABC", "abc") == 0
            assert sysfs_streq("on\n", "on")
            assert match_string(["a", "b"], 2, "b") == 1
            assert match_string(["a", "b"], 1, "b") == -EINVAL

    def test_searching(self, p):
        strcpy(p, "a/b/c")
        assert strchr(p, "/") == p + 1
        assert strrchr(p, "/") == p + 3
        assert strchr(p, "\0") == p + 5
        assert strchr(p, "x") == NULL
        assert strstr(p, "b/") == p + 2

    def test_strim(self, p):
        strcpy(p, "  text \n")
        assert strcmp(strim(p), "text") == 0

    def test_duplicates(self, p):
        for copy in (kstrdup("abc", GFP_KERNEL), kstrndup("abcdef", 3, GFP_KERNEL), kmemdup("abc", 4, GFP_KERNEL)):
            assert strcmp(copy, "abc") == 0
            kfree(copy)
        assert kstrdup(None, GFP_KERNEL) == NULL

    def test_too_long_for_its_object(self, k):
        p = kmalloc(4, GFP_KERNEL)
        with k.expect("string-overflow", count=1) as found:
            strcpy(p, "abcd")
        assert found[0].lines[0] == "strcpy() writes 5 bytes into 4"
        assert p[0:4] == b"abcd"
        kfree(p)

    def test_an_unterminated_string_runs_out_of_its_object(self, k):
        p = kmalloc(32, GFP_KERNEL)
        memset(p, ord("x"), 32)
        with k.expect("slab-out-of-bounds-right", count=1):
            strlen(p)
        kfree(p)


class TestFormats:
    @pytest.mark.parametrize(
        ("text", "args", "printed"),
        [
            ("%d %i %u", (-1, 2, -1), "-1 2 4294967295"),
            ("%ld %llu %zu", (-1, -1, 7), "-1 18446744073709551615 7"),
            ("%hhd %hx", (-1, -1), "-1 ffff"),
            ("%x %X %#x %o %#o", (255, 255, 255, 8, 8), "ff FF 0xff 10 010"),
            ("%5d|%-5d|%05d|%+d|% d", (1, 2, 3, 4, 5), "    1|2    |00003|+4| 5"),
            ("%.3d %08x %#06x", (5, 0xAB, 0xAB), "005 000000ab 0x00ab"),
            ("%s %5s|%-5s|%.2s", ("a", "b", "c", "defg"), "a     b|c    |de"),
            ("%*d %.*s", (4, 7, 2, "abc"), "   7 ab"),
            ("%c%c%%", ("x", 0x79), "xy%"),
            ("%s", (None,), "(null)"),
            ("%pe", ((1 << 64) - 12,), "-ENOMEM"),
            ("%px %p", (0xFFFF888000001000, 0), "ffff888000001000 0000000000000000"),
            ("%ps", (strcpy,), "strcpy"),
            ("%pGg", (0xCC0,), "GFP_KERNEL"),
        ],
    )
    def test_conversions(self, p, text, args, printed):
        big = kmalloc(128, GFP_KERNEL)
        assert sprintf(big, text, *args) == len(printed)
        assert big[0 : len(printed) + 1] == printed.encode() + b"\0"
        kfree(big)

    def test_strings_and_bytes_in_memory(self, p):
        strcpy(p, "in memory")
        big = kmalloc(64, GFP_KERNEL)
        sprintf(big, "%s %*ph %pM", p, 3, p, p)
        assert strcmp(big, "in memory 69 6e 20 69:6e:20:6d:65:6d") == 0
        kfree(big)

    def test_hashed_pointers_are_the_same_each_time(self, p):
        first, second = bytearray(17), bytearray(17)
        sprintf(first, "%p", p)
        sprintf(second, "%p", p)
        assert first == second
        assert int(first[:16], 16) not in {0, int(p)}

    def test_room(self, p):
        assert snprintf(p, 4, "%d", 123456) == 6
        assert p[0:5] == b"123\0\xee"
        assert scnprintf(p, 4, "%d", 123456) == 3
        assert snprintf(NULL, 0, "%d", 123456) == 6
        assert scnprintf(NULL, 0, "%d", 1) == 0


class TestNumbers:
    def test_good_ones(self, k):
        assert kstrtoint("-12\n", 10) == (0, -12)
        assert kstrtoint("0x1f", 0) == (0, 31)
        assert kstrtoint("017", 0) == (0, 15)
        assert kstrtoul("ff", 16) == (0, 255)
        assert kstrtobool("on") == (0, True)
        assert kstrtobool("N") == (0, False)

    def test_bad_ones(self, k):
        assert kstrtoint("12x", 10) == (-EINVAL, 0)
        assert kstrtoint("", 10) == (-EINVAL, 0)
        assert kstrtoul("-1", 10) == (-EINVAL, 0)
        assert kstrtou8("256", 10) == (-ERANGE, 0)
        assert kstrtobool("maybe") == (-EINVAL, False)

    def test_simple_ones_stop_where_they_must(self, k):
        assert simple_strtoul("12abc", 10) == (12, 2)
        assert simple_strtoul("0x1g", 0) == (1, 3)
        assert simple_strtoul("none", 10) == (0, 0)
        assert simple_strtol("-5 ", 10) == (-5, 2)
