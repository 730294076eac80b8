"""What the plugin adds to a pytest run that doesn't use it, in CPU time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PLUGIN = ("-p", "kmock.plugin")
BUDGET_MS = 10
RUNS = 15


def cpu_ms(folder: Path, *options: str) -> float:
    """Return the CPU milliseconds (user and system) of an empty pytest run in ``folder``."""
    # Other people's plugins cost the same with and without ours, and several times as much: they would drown it.
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPYCACHEPREFIX": str(folder / "pyc")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_empty.py"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def added_ms() -> tuple[float, float]:
    """Return the least CPU milliseconds of a run with the plugin and of one without it, taken in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_empty.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        cpu_ms(folder, *PLUGIN)  # fills the cache of compiled modules
        pairs = [(cpu_ms(folder, *PLUGIN), cpu_ms(folder)) for _ in range(RUNS)]
    return min(with_it for with_it, _ in pairs), min(without for _, without in pairs)
