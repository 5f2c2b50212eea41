"""Report of an evaluation: names, tables, figures, the HTML page, and `docs/results.md`."""
