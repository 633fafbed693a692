"""leadjobs and its peers, side by side in one run: ``./dev bench`` (see docs/benchmarks.md)."""
