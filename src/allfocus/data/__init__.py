"""Data sets: where samples for training and evaluation come from."""
