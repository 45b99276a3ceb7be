"""Benchmarks: each a command that prints a table, with a baseline in the same run."""
