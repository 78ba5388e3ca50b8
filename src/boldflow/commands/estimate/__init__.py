"""What a study would fetch, keep and need in memory."""
