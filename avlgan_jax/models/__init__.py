"""Networks, losses and training steps of the four models, and trained networks as functions on numpy arrays."""
