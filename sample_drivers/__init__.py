"""Drivers translated from C to Python, for kmock: read them to see how a translation looks.

``scull``, ``scullc`` and ``scullp`` are three versions of the memory device that every book on drivers begins with;
``buggy`` has drivers with one mistake each. ``python -m sample_drivers.demo`` runs them all.
"""
