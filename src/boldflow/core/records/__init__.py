"""Records that plug-ins and stages hand to each other."""
