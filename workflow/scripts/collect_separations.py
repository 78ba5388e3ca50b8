"""Adapter of rule collect_separations."""

from _adapter import start

from boldflow.stages import separations

start(snakemake)
separations.run(
    separations=snakemake.input.separations,
    table=snakemake.output.table,
    csv=snakemake.output.csv,
    code=snakemake.params.code,
)
