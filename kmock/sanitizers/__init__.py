"""The checkers, called from ``mm/`` and ``kernel/`` at the points where Linux calls its own."""
