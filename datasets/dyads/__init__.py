"""Filmed parents and infants."""
