"""What `benchmarks/run.py` measures: each operation the plain way and ours, in processes of their own."""
