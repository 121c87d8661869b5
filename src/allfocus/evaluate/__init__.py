"""Scoring anything that restores photos, under a protocol that says what a number means."""
