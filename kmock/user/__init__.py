"""Simulated user processes: the other side of the system call."""
