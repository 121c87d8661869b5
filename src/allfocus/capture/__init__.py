"""From two folders of photos, wide open and stopped down, to aligned pairs that `train` and `eval` read."""
