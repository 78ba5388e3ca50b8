"""Adapter of rule fetch_dataset."""

from _adapter import places, start

start(snakemake, looks_outside=True)

from boldflow.stages.fetch import fetch_dataset

fetch_dataset.run(
    receipt=snakemake.output.receipt,
    settings=snakemake.params.settings,
    places=places(snakemake),
)
