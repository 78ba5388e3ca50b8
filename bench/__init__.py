"""Speed against named peers: one module per bench, found by its file name.

A bench is a module with ``run(quick) -> list[Row]``; ``quick`` asks for a small shape. The command
``python -m bench NAME`` prints a table and, as its last line, JSON. It exits 0 only where every goal and
every agreement holds: a fast wrong number is a loss.
"""
