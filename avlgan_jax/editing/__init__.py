"""Editing with trained weights: faces, photographs, films, and the export of weight bundles."""
