"""The parts of the stage `explain`."""
