"""The servers that this project starts: Prefect's and MLflow's, for as long as something needs them."""
