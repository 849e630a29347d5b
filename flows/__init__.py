"""Prefect: the DAG read from `dvc.yaml`, run with parallelism, logs and a UI; and the command line."""
