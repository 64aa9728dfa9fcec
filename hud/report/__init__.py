"""The report: one HTML file that says all of a run, and opens from disk without a network."""
