"""Metrics, retrieval, uncertainty, comparison."""
