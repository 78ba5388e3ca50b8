"""Digests of code by definition: what a job may run decides when it must run again, and nothing else does.

A rule's code is what its adapter, its stage's ``run`` and the plug-in of its entry lead to (``reach``), each definition
with what its names stand for (``modules``), without comments, docstrings and layout (``writing``). It travels as
{module: digest of the definitions reached in it}; single definitions are kept in a side file, for ``why``, ``verify``.
What was worked out from the very same sources before is remembered (``remembered``).

Standard library only, since the Snakefile imports it and is parsed again in every job.
"""

from boldflow.symbols.rules import ROOTS, code_digest, code_map, code_text, definitions_of, recorded

__all__ = ["ROOTS", "code_digest", "code_map", "code_text", "definitions_of", "recorded"]
