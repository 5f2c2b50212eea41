"""TFDS builders, one folder for each data set, and the command that prepares their records with landmarks."""
