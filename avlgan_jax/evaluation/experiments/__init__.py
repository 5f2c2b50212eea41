"""The experiments of Section IV beyond the main scores, one a module: what is asked, and the numbers it gives."""
