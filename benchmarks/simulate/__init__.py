"""A simulation of durable work from a seed: see `python -m benchmarks.simulate --help`."""
