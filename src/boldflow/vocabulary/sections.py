"""Sections of the catalogue, and the keys of a study's row that name their entries."""

SECTIONS = ("datasets", "responses", "features", "models", "splits", "figures")
PLUGIN_SECTIONS = ("datasets", "features", "models", "figures")  # whose entries are made by a file of their own
ROW_KEYS = ("datasets", "subjects", "responses", "features", "models", "splits")
