"""Training runs of the ablations: the loss weights of Table I and the parts of the recipe."""
