"""Batches: the journal; runs on one machine, on Ray and from a watched folder; inputs and outputs that are URLs."""
