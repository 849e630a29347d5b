"""Which registered version is the champion: the gate that judges, the record of its decisions, and the way back."""
