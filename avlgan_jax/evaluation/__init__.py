"""Evaluation of trained models: scores, experiments of the paper, and the report."""
