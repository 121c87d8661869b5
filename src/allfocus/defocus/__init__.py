"""Defocus of a photo: measured from its pixels, mapped from the network's disparity, written to files."""
