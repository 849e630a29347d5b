"""Studies of several runs: ablations, cross-validation, comparisons, hyperparameter searches."""
