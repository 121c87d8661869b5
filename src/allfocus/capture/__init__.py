"""Aligned pairs for `train` and `eval`, from two folders of photos with a wide and a narrow aperture."""
