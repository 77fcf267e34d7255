"""Benchmarks: `python -m bench kernel` prints a table and writes JSON to bench/results."""
