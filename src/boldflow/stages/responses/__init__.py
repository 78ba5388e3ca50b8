"""Rules that make responses."""
