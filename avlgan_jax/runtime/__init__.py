"""Devices, processes and signals. It knows steps and states as trees of arrays, and no model."""
