"""KernelConfig: what may be said, what follows from it, and the sentence for every kind of mistake."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from kmock.config import ConfigError, KernelConfig, NodeConfig, parse_size, preset_names, show_size

make = KernelConfig.make
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "machines"
MIB, GIB = 1 << 20, 1 << 30
HOLE = 0xF0000000


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a YAML file into an empty working directory, and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "a.yaml") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return name

    return write


def sentence(*args, **kwargs) -> str:
    with pytest.raises(ConfigError) as caught:
        make(*args, **kwargs)
    return str(caught.value)


# --- what may be said ------------------------------------------------------------------------------------------------


def test_the_default_machine():
    config = make()
    assert config == KernelConfig() == make({}) == make(None)
    assert (config.arch, config.cpus, config.memory, config.nodes) == ("x86_64", 2, 64 * MIB, 1)
    assert (config.preempt, config.version, config.seed, config.hz, config.cmdline) == (True, None, 0, 250, "")
    assert (config.distances, config.movable, config.low_memory_top, config.machine) == (None, 0, HOLE, None)
    assert type(config.memory) is type(config.cpus) is int


DETECTORS = ["kasan", "kmemleak", "lockdep", "atomic_sleep", "debug_vm", "dma_debug"]
DETECTORS += ["initmem", "page_check", "usercopy", "refcount", "contracts"]
SWITCHES = ["lint", "uninit_loads", "raise_reports", "panic_on_warn"]


@pytest.mark.parametrize("key", DETECTORS)
def test_detectors_are_on_and_can_be_switched_off(key):
    assert getattr(make(), key) is True
    assert getattr(make(**{key: False}), key) is False


@pytest.mark.parametrize("key", SWITCHES)
def test_what_is_asked_for_is_off_until_then(key):
    assert getattr(make(), key) is False
    assert getattr(make(**{key: True}), key) is True


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("arch", "x86_32", "x86_32"),
        ("cpus", 8192, 8192),
        ("memory", "1G", GIB),
        ("memory", 4 * MIB, 4 * MIB),
        ("nodes", 4, 4),
        ("movable", "16M", 16 * MIB),
        ("low_memory_top", "3G", 3 * GIB),
        ("preempt", False, False),
        ("version", "2.6.10", "2.6.10"),
        ("version", "3.18", "3.18"),
        ("version", None, None),
        ("seed", 42, 42),
        ("hz", 1000, 1000),
        ("cmdline", "quiet", "quiet"),
        ("distances", [[10]], ((10,),)),
    ],
)
def test_every_other_key(key, given, kept):
    assert getattr(make(**{key: given}), key) == kept
    assert getattr(make({key: given}), key) == kept
    assert getattr(KernelConfig(**{key: given}), key) == kept


def test_a_configuration_is_a_value():
    config = make(FIXTURES / "two_socket_server.yaml", seed=3)
    assert hash(config) == hash(make(config))
    assert make(config) == config == pickle.loads(pickle.dumps(config))
    assert msgspec.json.decode(msgspec.json.encode(config), type=KernelConfig) == config
    with pytest.raises(AttributeError):
        config.cpus = 3


def test_the_constructor_judges_too():
    with pytest.raises(ConfigError, match=r"^KernelConfig\(\): cpus: 0 is not a whole number from 1 to 8192$"):
        KernelConfig(cpus=0)
    with pytest.raises(ConfigError, match=r"^NodeConfig\(\): memory: '1X' is not a size"):
        NodeConfig(memory="1X")
    assert KernelConfig(nodes=[NodeConfig(memory="512M"), NodeConfig(memory="1G")]).memory == 1536 * MIB


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("0x1000", 4096),
        ("0x10M", 16 * MIB),
        ("512K", 512 << 10),
        ("64M", 64 * MIB),
        ("64m", 64 * MIB),
        ("64MiB", 64 * MIB),
        ("64MB", 64 * MIB),
        (" 1 G ", GIB),
        ("2T", 2 << 40),
        ("16B", 16),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "64X", "1.5G", "-1M", "64 M M", "0xM", "64iM"])
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="is not a size such as"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1000, "1000"), (4096, "4K"), (64 * MIB, "64M"), (3 << 50, "3072T")]
)
def test_sizes_are_shown_in_the_largest_unit(size, text):
    assert show_size(size) == text


# --- layers ----------------------------------------------------------------------------------------------------------


def test_later_layers_win(write):
    base = write("cpus: 3\nhz: 100\nmemory: 32M\n")
    config = make({"hz": 300, "seed": 5}, machine=base, seed=6)
    assert (config.cpus, config.hz, config.memory, config.seed, config.machine) == (3, 300, 32 * MIB, 6, "a.yaml")


def test_a_configuration_may_be_laid_over_a_machine():
    config = make(KernelConfig(seed=9), machine="numa2")
    assert (config.seed, config.nodes, config.memory) == (9, 2, 128 * MIB)


def test_an_override_replaces_the_machine_of_a_mapping():
    config = make({"machine": "numa2", "seed": 1}, machine="tiny")
    assert (config.nodes, config.memory, config.seed) == (1, 8 * MIB, 1)


def test_a_file_may_lie_on_a_preset_or_on_its_neighbour(write):
    write("machine: tiny\nhz: 100\n", "lab/base.yaml")
    top = write("machine: base.yaml\nseed: 1\n", "lab/top.yaml")
    config = KernelConfig.from_yaml(top)
    assert (config.memory, config.hz, config.seed, config.machine) == (8 * MIB, 100, 1, "lab/top.yaml")
    assert config == make(top) == make(machine=top) == make(Path(top)) == make(machine=Path(top))


def test_files_that_lie_on_each_other(write):
    write("machine: a.yaml\n", "b.yaml")
    assert sentence(write("cpus: 1\nmachine: b.yaml\n")) == "a.yaml:2:10: machine: a.yaml is laid over itself"


def test_new_nodes_start_anew():
    server = FIXTURES / "two_socket_server.yaml"
    halves = make(server, nodes=4, low_memory_top=HOLE)
    assert (halves.memory, halves.cpus, halves.distances, len(halves.topology)) == (8 * GIB, 16, None, 4)
    other = make(server, nodes=[{"memory": "1G", "cpus": 1}], movable=0)
    assert (other.memory, other.cpus, other.distances) == (GIB, 1, None)


# --- YAML ------------------------------------------------------------------------------------------------------------


def test_an_empty_file_is_the_default_machine(write):
    for text in ("", "# nothing but a comment\n", "---\n"):
        assert KernelConfig.from_yaml(write(text)) == KernelConfig(origin="a.yaml")


def test_numbers_mean_what_they_look_like(write):
    assert make(write("version: 3.10\n")).version == "3.10"
    assert make(write("version: '3.10'\n")).version == "3.10"
    assert make(write("memory: 0x4000000\n")).memory == 64 * MIB
    assert make(write("memory: 67_108_864\n")).memory == 64 * MIB
    assert make(write("kasan: off\nlint: yes\n")).lint is True
    assert make(write("version: null\n")).version is None
    assert make(write("nodes: &n [&a {memory: 8M}, *a]\n")).memory == 16 * MIB


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\ncpu: 4\n", "a.yaml:3:1: unknown key 'cpu': did you mean 'cpus'?"),
        ("cpus: 0\n", "a.yaml:1:7: cpus: 0 is not a whole number from 1 to 8192"),
        ("cpus: 010\n", "a.yaml:1:7: cpus: '010' is not a whole number from 1 to 8192"),
        ("cpus: 1:30\n", "a.yaml:1:7: cpus: '1:30' is not a whole number from 1 to 8192"),
        ("cpus: 2.5\n", "a.yaml:1:7: cpus: 2.5 is not a whole number from 1 to 8192"),
        ("cpus:\n", "a.yaml:1:6: cpus: None is not a whole number from 1 to 8192"),
        ("cpus: [1]\n", "a.yaml:1:7: cpus: a list is not a whole number from 1 to 8192"),
        ("hz: 250\ncpus: 1\nhz: 100\n", "a.yaml:3:1: duplicate key 'hz': first given at a.yaml:1:1"),
        ("kasan: maybe\n", "a.yaml:1:8: kasan: 'maybe' is not true or false"),
        ("cmdline: true\n", "a.yaml:1:10: cmdline: true is not a string"),
        ("- cpus\n", "a.yaml:1:1: is not a mapping of keys to values, as in 'cpus: 4'"),
        ("default\n", "a.yaml:1:1: is not a mapping of keys to values, as in 'cpus: 4'"),
        ("[a]: 1\n", "a.yaml:1:1: a key must be a word"),
        ("cpus: !!python/object:os.system 1\n", None),
        ("&a cpus: &b [*b]\n", "a.yaml:1:10: is an alias of something that contains it"),
        ("cpus: [1\n", "a.yaml:2:1: is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("cpus: 1\n---\ncpus: 2\n", "a.yaml:2:1: is not YAML: but found another document"),
        ("cpus: @\n", "a.yaml:1:7: is not YAML: found character '@' that cannot start any token"),
        ("nodes:\n  - memory: 8M\n    cpu: 1\n", "a.yaml:3:5: unknown key 'nodes[0].cpu': did you mean 'cpus'?"),
        ("nodes:\n  - 8M\n", "a.yaml:2:5: nodes[0]: '8M' is not a node: expected memory, cpus, ranges"),
        ("nodes:\n  - {memory: 8M, cpus: [0, x]}\n", None),
        ("hz: 1\ncpus: 0\n", "a.yaml:1:5: hz: 1 is not a whole number from 12 to 12287"),
        ("machine: b.yaml\n", "a.yaml:1:10: machine: there is no file 'b.yaml'"),
        ("movable: 64M\n", "a.yaml:1:10: movable: 64M leaves the kernel no memory: expected below 64M"),
        ("origin: x\n", None),
    ],
)
def test_mistakes_in_files(write, text, expected):
    said = sentence(write(text))
    assert said.startswith("a.yaml:")
    if expected is not None:
        assert said == expected


def test_a_file_that_cannot_be_read(write, tmp_path):
    assert sentence("no.yaml") == "boot(): machine: there is no file 'no.yaml'"
    with pytest.raises(ConfigError, match=r"^no.yaml: cannot be read: No such file or directory$"):
        KernelConfig.from_yaml("no.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"# caf\xe9\ncpus: 1\n")
    assert sentence("latin.yaml") == "latin.yaml: is not UTF-8 text: byte 5 is 0xe9"


# --- mistakes in calls -----------------------------------------------------------------------------------------------

SIZE_4M = "is not a size from 4M to 64T in whole pages of 4K, such as '64M'"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cpu": 4}, "unknown key 'cpu': did you mean 'cpus'?"),
        ({"kasan_on": True}, "unknown key 'kasan_on': did you mean 'kasan'?"),
        ({"cpus": 8193}, "cpus: 8193 is not a whole number from 1 to 8192"),
        ({"cpus": True}, "cpus: True is not a whole number from 1 to 8192"),
        ({"cpus": "4"}, "cpus: '4' is not a whole number from 1 to 8192"),
        ({"memory": "64X"}, f"memory: '64X' {SIZE_4M}"),
        ({"memory": "3M"}, f"memory: '3M' {SIZE_4M}"),
        ({"memory": 4 * MIB + 1}, f"memory: 4194305 {SIZE_4M}"),
        ({"memory": "65T"}, f"memory: '65T' {SIZE_4M}"),
        ({"memory": 64.5 * MIB}, f"memory: 67633152.0 {SIZE_4M}"),
        ({"arch": "x86"}, "arch: 'x86' is not one of x86_32, x86_64: did you mean 'x86_64'?"),
        ({"arch": "arm"}, "arch: 'arm' is not one of x86_32, x86_64"),
        ({"kasan": 1}, "kasan: 1 is not true or false"),
        ({"version": "six"}, "version: 'six' is not a string of dotted numbers, such as '6.1' or '2.6.10'"),
        ({"version": "6.1\n"}, "version: '6.1\\n' is not a string of dotted numbers, such as '6.1' or '2.6.10'"),
        ({"version": 3.10}, "version: 3.1 is not a string of dotted numbers, such as '6.1' or '2.6.10'"),
        ({"seed": -1}, "seed: -1 is not a whole number from 0 to 9223372036854775807"),
        ({"hz": 12288}, "hz: 12288 is not a whole number from 12 to 12287"),
        ({"cmdline": 5}, "cmdline: 5 is not a string"),
        ({"machine": "numa3"}, "machine: 'numa3' is neither a preset nor a .yaml file: did you mean 'numa2'?"),
        ({"machine": "lab/numa2"}, "machine: there is no file 'lab/numa2'"),
        ({"machine": 5}, "machine: 5 is not a string"),
        ({"nodes": 0}, "nodes: 0 is not a whole number from 1 to 1024"),
        ({"nodes": []}, "nodes: a list of 0 nodes: expected 1 to 1024"),
        ({"nodes": 32}, "nodes: 64M gives 32 nodes less than 4M each: expected 1 to 16"),
        ({"nodes": [{}]}, "nodes[0]: says neither memory nor ranges: expected one of them"),
        (
            {"nodes": [{"memory": "2M"}, {"memory": "8M"}]},
            "nodes[0]: 2M is too small a node: expected 0, or at least 4M",
        ),
        ({"nodes": [{"memory": "8M", "cpus": [0, 0]}]}, "nodes[0].cpus[1]: CPU 0 is named twice"),
        (
            {"nodes": [{"memory": "8M", "cpus": [2]}]},
            "nodes[0].cpus[0]: 2 is not one of the 1 CPUs: expected 0 to 0",
        ),
        (
            {"nodes": [{"memory": "8M", "cpus": 3}], "cpus": 2},
            "nodes[0].cpus: 3 is more than the 2 CPUs that are left",
        ),
        (
            {"nodes": [{"memory": "8M", "cpus": 3}], "cpus": 4},
            "cpus: 4 is more than the nodes name: expected 3, or other nodes",
        ),
        (
            {"nodes": [{"memory": "8M"}], "memory": "16M"},
            "memory: 16M is not what the nodes add up to: expected 8M, or other nodes",
        ),
        (
            {"nodes": [{"memory": "8M", "ranges": [[0, "16M"]]}]},
            "nodes[0].memory: 8M is not what its ranges add up to: expected 16M",
        ),
        ({"nodes": [{"ranges": [["8M", 0]]}]}, "nodes[0].ranges[0]: ends at 0x0: expected an end above 0x800000"),
        ({"nodes": [{"ranges": [[0]]}]}, "nodes[0].ranges[0]: [0] is not a pair [start, end)"),
        ({"nodes": [{"ranges": "8M"}]}, "nodes[0].ranges: '8M' is not a list of [start, end) pairs"),
        (
            {"nodes": [{"ranges": [[0, 5000]]}]},
            "nodes[0].ranges[0][1]: 5000 is not a size from 0 to 64T in whole pages of 4K, such as '64M'",
        ),
        (
            {"nodes": [{"ranges": [[0, "8M"]]}, {"ranges": [["4M", "16M"]]}]},
            "nodes[1].ranges[0]: starts at 0x400000, inside nodes[0].ranges[0]: expected 0x800000 or above",
        ),
        (
            {"nodes": [{"ranges": [[0, "8M"]]}, {"memory": "16M"}]},
            "nodes[1]: says no ranges where another node does: expected ranges for all or none",
        ),
        (
            {"nodes": [{"ranges": [[0, "4G"]]}]},
            "nodes[0].ranges[0]: [0x0, 0x100000000) reaches into 0xf0000000-4G, which is kept for device windows",
        ),
        ({"distances": [[10, 20]]}, "distances[0]: a row of 2 in a table of 1 rows: expected a square table"),
        ({"distances": [[11]]}, "distances[0][0]: 11 is not 10"),
        ({"distances": [[10, 10], [20, 10]]}, "distances[0][1]: 10 is not a whole number from 11 to 255"),
        ({"distances": 20}, "distances: 20 is not a table: expected a list of rows"),
        ({"distances": [[10]], "nodes": 2}, "distances: a table of 1 rows for 2 nodes: expected 2 by 2"),
        ({"movable": "1G"}, "movable: 1G leaves the kernel no memory: expected below 64M"),
        ({"arch": "x86_32", "cpus": 65}, "cpus: 65 is more than x86_32 can have: expected 1 to 64"),
        (
            {"arch": "x86_32", "memory": "64G"},
            "memory: RAM ends at 0x1010000000: expected an end of at most 64G on x86_32",
        ),
    ],
)
def test_mistakes_in_calls(given, expected):
    assert sentence(**given) == f"boot(): {expected}"
    assert sentence(given) == f"boot(): {expected}"


def test_a_key_that_looks_like_nothing_gets_the_whole_list():
    assert sentence(zzz=1).startswith("boot(): unknown key 'zzz': expected one of arch, cpus, memory, nodes,")
    assert "origin" not in sentence(zzz=1)


def test_the_place_is_the_callers():
    where = "@pytest.mark.kernel at tests/test_a.py:7"
    assert sentence(where=where, cpus=0) == f"{where}: cpus: 0 is not a whole number from 1 to 8192"


def test_a_contradiction_is_blamed_on_who_spoke_last():
    server = str(FIXTURES / "two_socket_server.yaml")
    expected = "boot(): memory: 1G is not what the nodes add up to: expected 8G, or other nodes"
    assert sentence(machine=server, memory="1G") == expected


# --- what follows ----------------------------------------------------------------------------------------------------


def test_ram_goes_around_the_hole():
    assert make(memory="64M").node_ranges() == [[(0, 64 * MIB)]]
    assert make(memory=HOLE).node_ranges() == [[(0, HOLE)]]
    assert make(memory="4G").node_ranges() == [[(0, HOLE), (4 * GIB, 4 * GIB + 256 * MIB)]]
    assert make(memory="2G", low_memory_top="1G").node_ranges() == [[(0, GIB), (4 * GIB, 5 * GIB)]]
    assert make(memory="6G", low_memory_top="4G").node_ranges() == [[(0, 6 * GIB)]]


def test_nodes_lie_one_above_the_other():
    config = make(memory="8G", nodes=2, cpus=5)
    shift = 4 * GIB - HOLE
    assert config.node_ranges() == [
        [(0, HOLE), (4 * GIB, 4 * GIB + shift)],
        [(4 * GIB + shift, 8 * GIB + shift)],
    ]
    assert [config.cpu_to_node(cpu) for cpu in range(5)] == [0, 0, 1, 1, 1]


def test_a_node_may_begin_beyond_the_hole():
    config = make(nodes=[{"memory": HOLE}, {"memory": "1G"}])
    assert config.node_ranges() == [[(0, HOLE)], [(4 * GIB, 5 * GIB)]]


@pytest.mark.parametrize(("memory", "nodes"), [("64M", 1), ("64M", 16), ("100M", 3), ("64G", 8), ("5G", 7)])
def test_an_even_split_loses_nothing(memory, nodes):
    config = make(memory=memory, nodes=nodes, cpus=13)
    pieces = [piece for ranges in config.node_ranges() for piece in ranges]
    assert sum(end - start for start, end in pieces) == config.memory
    assert pieces == sorted(pieces)
    assert len(config.topology) == nodes
    assert sorted(cpu for node in config.topology for cpu in node.cpus) == list(range(13))


def test_nodes_may_lack_memory_or_cpus():
    config = make(nodes=[{"memory": "64M", "cpus": 0}, {"memory": 0, "cpus": 2}])
    assert config.node_ranges() == [[(0, 64 * MIB)], []]
    assert [node.cpus for node in config.topology] == [(), (0, 1)]


def test_counts_take_the_lowest_cpus_that_nobody_names():
    nodes = [{"memory": "8M", "cpus": 2}, {"memory": "8M", "cpus": [0, 3]}, {"memory": "8M"}, {"memory": "8M"}]
    config = make(nodes=nodes, cpus=7)
    assert [node.cpus for node in config.topology] == [(1, 2), (0, 3), (4,), (5, 6)]


def test_distances():
    config = make(nodes=2)
    assert [config.distance(a, b) for a in (0, 1) for b in (0, 1)] == [10, 20, 20, 10]
    config = make(nodes=2, distances=[[10, 21], [31, 10]])
    assert [config.distance(a, b) for a in (0, 1) for b in (0, 1)] == [10, 21, 31, 10]


def test_boot_arguments():
    config = make(cmdline='quiet slub_debug=FZPU page_poison=1  dyndbg="file a.c +p" page-poison=0 kasan_multi_shot')
    assert config.boot_arg("slub_debug") == "FZPU"
    assert config.boot_arg("quiet") == config.boot_arg("kasan.multi_shot".replace(".", "_")) == ""
    assert config.boot_arg("page_poison") == config.boot_arg("page-poison") == "0"
    assert config.boot_arg("dyndbg") == "file a.c +p"
    assert config.boot_arg("init_on_alloc") is None


# --- machines that come with kmock -----------------------------------------------------------------------------------


def test_presets():
    expected = (
        "big", "default", "highmem", "iommu", "nodebug", "noncoherent", "numa2", "slub_debug", "tiny", "uniprocessor",
    )  # fmt: skip
    assert preset_names() == expected
    for name in expected:
        assert make(name).machine == name
        assert make(name, seed=1) == make(machine=name, seed=1)


def test_what_the_presets_are():
    assert make("default") == KernelConfig(origin="default")
    assert (make("uniprocessor").cpus, make("tiny").memory, make("numa2").nodes) == (1, 8 * MIB, 2)
    big = make("big")
    assert (big.memory, big.cpus, len(big.topology)) == (64 * GIB, 256, 8)
    assert (make("highmem").arch, make("highmem").memory) == ("x86_32", 2 * GIB)
    assert not any(getattr(make("nodebug"), key) for key in DETECTORS)
    assert (make("iommu").iommu, make("noncoherent").dma_coherent) == (True, False)
    slub_debug = make("slub_debug")
    assert (slub_debug.kasan, slub_debug.boot_arg("slub_debug")) == (False, "FZPU")


def test_a_preset_can_be_overridden():
    assert make("numa2", memory="1G").node_ranges() == [[(0, GIB // 2)], [(GIB // 2, GIB)]]


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.yaml")), ids=lambda path: path.stem)
def test_example_machines(path):
    assert KernelConfig.from_yaml(path).memory == make(path).memory > 0


def test_the_server_is_as_its_file_says():
    server = make(FIXTURES / "two_socket_server.yaml")
    assert server.cpu_to_node(8) == 0
    assert server.cpu_to_node(15) == 1
    assert server.distance(0, 1) == 21
    assert server.node_ranges()[1] == [(0x140000000, 0x240000000)]


def test_yaml_is_imported_when_a_file_is_read():
    code = "import sys, kmock.config as c; c.KernelConfig.make(cpus=4); assert 'yaml' not in sys.modules; c.KernelConfig.make('tiny')"
    subprocess.run([sys.executable, "-c", code], check=True)
