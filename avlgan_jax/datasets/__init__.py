"""TFDS builders, one folder each, and the command that prepares their records with landmarks."""
