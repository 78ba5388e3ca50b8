"""Adapter of rule collect_scores."""

from _adapter import start

from boldflow.stages import collect

start(snakemake)
collect.run(
    scores=snakemake.input.scores,
    draws=snakemake.input.draws,
    published_=snakemake.input.published,
    leaderboard_=snakemake.output.leaderboard,
    csv=snakemake.output.csv,
    comparisons=snakemake.output.comparisons,
    elsewhere=snakemake.output.published,
    study=snakemake.params.study,
    code=snakemake.params.code,
)
