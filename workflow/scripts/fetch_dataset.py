"""Adapter of rule fetch_dataset."""

from _adapter import places, start

from boldflow.stages.fetch import fetch_dataset

start(snakemake)
fetch_dataset.run(
    receipt=snakemake.output.receipt,
    settings=snakemake.params.settings,
    places=places(snakemake),
    code=snakemake.params.code,
)
