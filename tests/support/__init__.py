"""What the suites and the benchmark share. Nothing in here imports a suite."""
