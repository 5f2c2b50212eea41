"""Photographs: cut out their faces, and change their own pixels with converted landmarks."""
