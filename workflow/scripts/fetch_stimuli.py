"""Adapter of rule fetch_stimuli."""

from _adapter import places, start

start(snakemake, looks_outside=True)

from boldflow.stages.fetch import fetch_stimuli

fetch_stimuli.run(
    source=snakemake.input.source,
    receipt=snakemake.output.receipt,
    settings=snakemake.params.settings,
    places=places(snakemake),
    facts=snakemake.params.facts,
)
