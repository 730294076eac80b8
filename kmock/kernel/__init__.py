"""Execution: contexts, tasks, locks and the log, as in Linux' ``kernel/``."""
