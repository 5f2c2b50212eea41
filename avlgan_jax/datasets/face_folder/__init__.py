"""Anyone's folder of faces."""
