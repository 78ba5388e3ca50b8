"""Commands beside the workflow, one module per command; ``python -m boldflow`` parses their arguments.

They read what the workflow has made, or will read (``check``), and never start a job of it (``doctor`` probes nodes
with short ones of its own); ``new`` alone writes into ``config``.
``changes`` is the comparison that ``why`` and ``verify`` share, ``plan`` asks Snakemake (in a process of its own) which
jobs there are and what they would be made from now.
"""
