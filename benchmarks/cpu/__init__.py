"""What the CPU engine costs and gains on this machine: `python -m benchmarks.cpu`. See `__main__`."""
