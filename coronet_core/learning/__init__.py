"""Learning: one loop that knows no network, and several processes on one batch."""
