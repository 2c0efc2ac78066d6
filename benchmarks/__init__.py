"""What the server costs, against others in the same run: `python -m benchmarks`."""
