"""Which trials train, validate and test."""
