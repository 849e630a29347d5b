"""The parts of the stage `audit`."""
