"""Adapter of rule match_units."""

from _adapter import start

start(snakemake)

from boldflow.stages.studies import match_units

match_units.run(
    codes=snakemake.input.codes,
    table=snakemake.output.table,
    csv=snakemake.output.csv,
    names=snakemake.params.names,
    latents=snakemake.params.latents,
    code=snakemake.params.code,
)
