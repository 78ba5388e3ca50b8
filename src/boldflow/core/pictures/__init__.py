"""Pictures: how they are described, and which are the same."""
