"""Videos of parents and infants."""
