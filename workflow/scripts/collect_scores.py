"""Adapter of rule collect_scores."""

from _adapter import start

from boldflow.stages import collect

start(snakemake)
collect.run(
    scores=snakemake.input.scores,
    leaderboard_=snakemake.output.leaderboard,
    csv=snakemake.output.csv,
    study=snakemake.params.study,
    code=snakemake.params.code,
)
