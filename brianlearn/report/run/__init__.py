"""The report of a run: its picture, and a page."""
