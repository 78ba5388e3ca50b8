"""Adapter of rule write_report."""

from _adapter import start

from boldflow.stages.studies import write_report

start(snakemake)
write_report.run(
    leaderboard=snakemake.input.leaderboard,
    comparisons=snakemake.input.comparisons,
    published_=snakemake.input.published,
    separations=snakemake.input.separations,
    matches=snakemake.input.matches,
    costs=snakemake.input.costs,
    figures=snakemake.input.figures,
    sources=snakemake.input.sources,
    splits=snakemake.input.splits,
    responses=snakemake.input.responses,
    page=snakemake.output.page,
    study=snakemake.params.study,
    facts=snakemake.params.facts,
    captions=snakemake.params.captions,
    code=snakemake.params.code,
)
