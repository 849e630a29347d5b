"""Stage `calibrate`: the CIN on the validation split; temperature, prediction sets and thresholds."""
