"""Rules that join a study's results: tables, figures, the report."""
