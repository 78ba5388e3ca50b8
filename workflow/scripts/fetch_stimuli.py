"""Adapter of rule fetch_stimuli."""

from _adapter import start

from boldflow.stages import fetch_content

start(snakemake)
fetch_content.run(
    source=snakemake.input.source,
    receipt=snakemake.output.receipt,
    settings=snakemake.params.settings,
    what=snakemake.params.what,
    code=snakemake.params.code,
)
