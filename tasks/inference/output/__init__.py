"""Writing predictions: Parquet dataset, CSV, JSON Lines and terminal table."""
