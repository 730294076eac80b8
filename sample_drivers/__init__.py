"""Drivers translated from C to Python, for kmock: read them to see how a translation looks.

``scull``, ``scullc``, ``scullp`` and ``scullv`` are four versions of the memory device that every book on drivers begins with;
``stopwatch`` drives a device with registers, of which ``stopwatch_hw`` is a model; ``buggy`` has drivers with one
mistake each. ``python -m sample_drivers.demo`` runs those of memory, and all with a mistake.
"""
