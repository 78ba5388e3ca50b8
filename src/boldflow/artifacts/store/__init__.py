"""Files of our own: atomic writes, checks on reading, sidecars, claims."""
