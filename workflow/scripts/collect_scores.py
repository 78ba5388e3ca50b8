"""Adapter of rule collect_scores."""

from _adapter import start

start(snakemake)

from boldflow.stages.studies import collect_scores

collect_scores.run(
    scores=snakemake.input.scores,
    draws=snakemake.input.draws,
    draws_indexes=snakemake.input.draws_indexes,
    published_=snakemake.input.published,
    leaderboard_=snakemake.output.leaderboard,
    csv=snakemake.output.csv,
    comparisons=snakemake.output.comparisons,
    people=snakemake.output.people,
    elsewhere=snakemake.output.published,
    study=snakemake.params.study,
    code=snakemake.params.code,
)
