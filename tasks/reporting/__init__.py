"""The parts of the stage `report`, and the pages of studies."""
