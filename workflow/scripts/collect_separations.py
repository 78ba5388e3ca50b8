"""Adapter of rule collect_separations."""

from _adapter import start

from boldflow.stages.studies import collect_separations

start(snakemake)
collect_separations.run(
    separations=snakemake.input.separations,
    table=snakemake.output.table,
    csv=snakemake.output.csv,
    code=snakemake.params.code,
)
