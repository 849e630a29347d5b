"""The parts of the stages `calibrate` and `evaluate`."""
