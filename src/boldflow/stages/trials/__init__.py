"""Rules of trials, pictures and splits."""
