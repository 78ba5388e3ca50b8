"""One module per rule with one public ``run``: read, call core or a plug-in, write."""

import os

# Jupyter names a backend of its own for all that it starts, which matplotlib refuses where that package is missing.
os.environ["MPLBACKEND"] = "agg"
