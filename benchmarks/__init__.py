"""Measurements, each a command: `python -m benchmarks.NAME`. Ratios, medians, one run."""
