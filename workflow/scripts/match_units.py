"""Adapter of rule match_units."""

from _adapter import start

from boldflow.stages import match

start(snakemake)
match.run(
    codes=snakemake.input.codes,
    table=snakemake.output.table,
    csv=snakemake.output.csv,
    names=snakemake.params.names,
    latents=snakemake.params.latents,
    code=snakemake.params.code,
)
