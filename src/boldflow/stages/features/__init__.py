"""Rules that describe pictures."""
