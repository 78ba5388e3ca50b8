"""Published data sets in layouts of their own."""
