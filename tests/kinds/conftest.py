"""``--update-golden`` writes what the programs print as what they are to print."""

from __future__ import annotations


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/kinds/fire/*.txt from what is printed")
