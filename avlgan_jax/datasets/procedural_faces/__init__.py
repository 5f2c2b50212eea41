"""Faces drawn by this project."""
