"""What can be measured: each module is a command, ``python -m benchmarks.NAME``."""
