"""The experiments of Section IV of the paper other than the main scores, one per module."""
