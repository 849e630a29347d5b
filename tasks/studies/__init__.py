"""Studies of several runs: ablations and cross-validation."""
