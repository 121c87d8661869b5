"""What a run can train: each task is a network, the losses that teach it and the way it is scored."""
