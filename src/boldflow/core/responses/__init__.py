"""Measured responses: cleaning, windows, betas, surfaces, noise ceilings."""
