"""Several runs put together: ablations and cross-validation."""
