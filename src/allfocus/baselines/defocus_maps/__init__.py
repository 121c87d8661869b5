"""Estimators of the defocus map: the standard deviation of the Gaussian blur at each pixel, in px."""
