"""What this machine or cluster can do, and a profile for it."""
