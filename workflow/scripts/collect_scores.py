"""Adapter of rule collect_scores."""

from _adapter import start

from boldflow.stages import collect

start(snakemake)
collect.run(
    scores=snakemake.input.scores,
    draws=snakemake.input.draws,
    leaderboard_=snakemake.output.leaderboard,
    csv=snakemake.output.csv,
    comparisons=snakemake.output.comparisons,
    study=snakemake.params.study,
    code=snakemake.params.code,
)
