"""Rules that bring data here and say what arrived."""
