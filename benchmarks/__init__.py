"""What is measured, how, and the recorded results (LOG.md)."""
