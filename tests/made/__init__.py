"""Helpers of tests, and the data they make."""
