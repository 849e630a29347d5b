"""Figures of the report, by theme. Each function draws one and returns it with the text that stands for it."""
