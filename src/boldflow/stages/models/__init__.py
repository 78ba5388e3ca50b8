"""Rules that train and score models."""
