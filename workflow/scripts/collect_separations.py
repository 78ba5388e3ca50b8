"""Adapter of rule collect_separations."""

from _adapter import start

start(snakemake)

from boldflow.stages.studies import collect_separations

collect_separations.run(
    separations=snakemake.input.separations,
    table=snakemake.output.table,
    csv=snakemake.output.csv,
    code=snakemake.params.code,
)
