"""Training: configuration, losses, the step, the loop and the release of weights."""
