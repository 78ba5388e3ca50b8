"""Mathematics of the simulated study, by subject: its pictures, its brains, its BOLD."""
