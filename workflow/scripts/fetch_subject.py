"""Adapter of rule fetch_subject."""

from _adapter import start

from boldflow.stages import fetch_content

start(snakemake)
fetch_content.run(
    source=snakemake.input.source,
    receipt=snakemake.output.receipt,
    what=snakemake.wildcards.subject,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
)
