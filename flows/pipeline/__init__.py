"""Running the DAG: stages as Prefect tasks, variants of a run, reproductions."""
