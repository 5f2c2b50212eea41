"""Training: the command line, the training loop, metrics, checkpoints and the workdir."""
