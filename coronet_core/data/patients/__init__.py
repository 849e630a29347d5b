"""Patients: one notion of who is who, pseudonyms, and what is doubtful about ids."""
