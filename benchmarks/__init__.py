"""What the toolkit costs and gains, each time against what a user would otherwise pick: `python -m benchmarks`."""
