"""Stage `evaluate`: the CIN on the test split; metrics with intervals, predictions, curves."""
