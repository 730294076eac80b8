"""Interleavings: runs a program again and again, choosing at every step what runs next, and watches for data races.

``schedule`` is what was chosen, as text and as a story; ``strategy`` chooses; ``sched`` puts it into effect on a machine
booted as :class:`~kmock.explore.machine.ExploredKernel`; ``races`` knows which accesses are ordered; ``search`` looks for
a run that fails and shrinks it.
"""
