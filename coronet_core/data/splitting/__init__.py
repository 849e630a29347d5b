"""Splitting patients: duplicates, published splits, train, validation and test, folds."""
