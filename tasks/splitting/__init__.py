"""The parts of the stage `build_split`."""
