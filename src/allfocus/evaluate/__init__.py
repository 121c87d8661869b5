"""Scoring anything that restores photos, under a stated protocol."""
