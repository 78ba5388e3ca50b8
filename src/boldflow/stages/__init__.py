"""One module per rule with one public ``run``: read, call core or a plug-in, write."""
