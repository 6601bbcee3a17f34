"""How fast the library is, as ratios to its peers measured in the same run: ``python -m benchmarks``.

``rows/`` says what is measured, ``worker.py`` is the process that one side of a row runs in, ``measuring.py`` has the
workers take turns, ``report.py`` prints. Absolute times depend on the machine and the hour; ratios much less.
"""
