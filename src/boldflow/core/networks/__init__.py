"""Models that learn in steps."""
