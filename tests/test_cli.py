"""The ``kmock`` command."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("click")

from click.testing import CliRunner

from kmock import kinds
from kmock.cli import functions, main


def kmock(*args):
    result = CliRunner().invoke(main, args)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_kinds_lists_the_catalogue():
    code, text = kmock("kinds")
    assert code == 0
    assert len(text.splitlines()) == len(kinds.catalogue())


def test_kinds_takes_a_glob():
    _, text = kmock("kinds", "iounmap-*")
    assert {line.split()[0] for line in text.splitlines()} == {
        kind for kind in kinds.catalogue() if kind.startswith("iounmap-")
    }


def test_kinds_tells_all_about_one():
    _, text = kmock("kinds", "slab-double-free")
    assert text.splitlines()[0] == "slab-double-free"
    assert "means:    freed twice" in text
    assert "severity: oops" in text
    assert "includes: slab-double-free-race" in text


def test_kinds_suggests_the_nearest():
    assert kmock("kinds", "slab-dobule-free") == (
        1,
        "Error: there is no kind 'slab-dobule-free': did you mean 'slab-double-free'?\n",
    )


def test_api_lists_every_function_with_a_contract():
    code, text = kmock("api")
    assert code == 0
    assert len(text.splitlines()) == len(functions())
    assert any(line.startswith("<linux/slab.h>  kmalloc(size, flags)") for line in text.splitlines())


def test_api_lists_one_header():
    _, text = kmock("api", "slab.h")
    assert {line.split()[0] for line in text.splitlines()} == {"<linux/slab.h>"}
    assert kmock("api", "linux/slab.h") == kmock("api", "slab")


def test_api_tells_all_about_one_function():
    _, text = kmock("api", "kmalloc")
    assert text.startswith("kmalloc(size, flags)\n")
    assert "header:      <linux/slab.h>" in text
    assert "sleeps:      if the gfp flags allow it" in text
    assert "undone by:   kfree" in text
    assert functions()["kmalloc"].__doc__.splitlines()[0] in text


def test_api_suggests_the_nearest():
    code, text = kmock("api", "kmallock")
    assert code == 1
    assert text == "Error: there is no function or header 'kmallock': did you mean 'kmalloc'?\n"


def test_machine_is_checked_and_shown(tmp_path):
    code, text = kmock("machine", "numa2")
    assert code == 0
    assert text.startswith("numa2: x86_64, 4 CPUs, 128M of RAM, seed 0\nnode 0: CPUs 0,1; RAM [0x0-0x3ffffff]\n")
    assert "\nchecks: kasan, " in text


def test_machine_from_a_file(tmp_path):
    file = tmp_path / "board.yaml"
    file.write_text("cpus: 1\nkasan: false\ncmdline: slub_debug=FZPU\n")
    _, text = kmock("machine", str(file))
    assert text.startswith(f"{file}: x86_64, 1 CPUs")
    assert "kasan" not in text
    assert "command line: slub_debug=FZPU" in text


def test_mistake_in_a_machine_is_one_sentence(tmp_path):
    file = tmp_path / "board.yaml"
    file.write_text("cpu: 1\n")
    code, text = kmock("machine", str(file))
    assert code == 1
    assert text == f"Error: {file}:1:1: unknown key 'cpu': did you mean 'cpus'?\n"


def test_without_click_one_sentence():
    program = "import sys; sys.modules['click'] = None; from kmock.cli import main"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "kmock: the command needs click: pip install 'pytest-kmock[cli]'\n"
