"""Procedural faces, drawn by this project."""
