"""Stage `calibrate`: fits temperature, prediction sets and thresholds on the validation split."""
