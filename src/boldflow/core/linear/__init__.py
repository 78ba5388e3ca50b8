"""Linear models in closed form, and what they need."""
