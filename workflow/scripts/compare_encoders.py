"""Adapter of rule compare_encoders."""

from _adapter import start

start(snakemake)

from boldflow.stages.studies import compare_encoders

compare_encoders.run(
    predictions=snakemake.input.predictions,
    predictions_indexes=snakemake.input.predictions_indexes,
    configs=snakemake.input.configs,
    responses=snakemake.input.responses,
    vertices=snakemake.input.vertices,
    features=snakemake.input.features,
    indexes=snakemake.input.indexes,
    trials=snakemake.input.trials,
    splits=snakemake.input.splits,
    wins=snakemake.output.wins,
    csv=snakemake.output.csv,
    names=snakemake.params.names,
    facts=snakemake.params.facts,
    study=snakemake.wildcards.study,
    n_draws=snakemake.params.n_draws,
    code=snakemake.params.code,
)
