"""DiffusionFER."""
