"""Formats of the world, one module each."""
