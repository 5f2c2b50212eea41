"""What trained models score, and the report."""
