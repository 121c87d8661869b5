"""Weights that ship with the package, and the cards that say what they are."""
