"""Devices, processes and signals of a run. States are plain trees of arrays here; no model is imported."""
