"""Adapter of rule fetch_checkpoint."""

from _adapter import places, start

from boldflow.stages.fetch import fetch_checkpoint

start(snakemake)
fetch_checkpoint.run(
    receipt=snakemake.output.receipt,
    settings=snakemake.params.settings,
    places=places(snakemake, "features"),
    code=snakemake.params.code,
)
