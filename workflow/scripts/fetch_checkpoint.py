"""Adapter of rule fetch_checkpoint."""

from _adapter import places, start

start(snakemake, looks_outside=True)

from boldflow.stages.fetch import fetch_checkpoint

fetch_checkpoint.run(
    receipt=snakemake.output.receipt,
    settings=snakemake.params.settings,
    places=places(snakemake, "features"),
)
