"""What the documentation says of speed, measured: `python -m benchmarks`, or `make bench`."""
