"""Audits of a trained network that go beyond its accuracy on the test split."""
