"""Adapter of rule fetch_stimuli."""

from _adapter import places, start

from boldflow.stages.fetch import fetch_stimuli

start(snakemake)
fetch_stimuli.run(
    source=snakemake.input.source,
    receipt=snakemake.output.receipt,
    settings=snakemake.params.settings,
    places=places(snakemake),
    facts=snakemake.params.facts,
    code=snakemake.params.code,
)
