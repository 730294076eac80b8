"""Fault injection: fault attributes, fail-nth, and the calls of a driver that can fail."""
