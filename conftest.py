"""Plugins that pytest wants to hear of from the topmost conftest.py.

The plugin's own tests run pytest inside pytest; the conformance tests end with a table.
"""

from __future__ import annotations

pytest_plugins = ["pytester", "tests.conformance.summary"]
