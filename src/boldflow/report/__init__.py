"""Pages made from tables and figures."""
