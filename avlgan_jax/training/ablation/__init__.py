"""Trainings behind the ablations: Table I, and the parts of the recipe."""
