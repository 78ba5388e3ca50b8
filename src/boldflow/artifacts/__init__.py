"""Formats on disk: one module per format, with atomic writes, checks on reading, and sidecars."""
