"""Adapter of rule write_report."""

from _adapter import start

start(snakemake)

from boldflow.stages.studies import write_report

write_report.run(
    tables=dict(snakemake.input.items()),
    page=snakemake.output.page,
    study=snakemake.params.study,
    facts=snakemake.params.facts,
    captions=snakemake.params.captions,
    code=snakemake.params.code,
)
