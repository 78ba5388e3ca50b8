"""Adapter of rule score_model."""

from _adapter import start

start(snakemake)

from boldflow.stages.models import score_model

score_model.run(
    predictions=snakemake.input.predictions,
    predictions_index=snakemake.input.predictions_index,
    weights=snakemake.input.weights,
    config=snakemake.input.config,
    responses=snakemake.input.responses,
    vertices=snakemake.input.vertices,
    features=snakemake.input.features,
    index=snakemake.input.index,
    trials=snakemake.input.trials,
    split=snakemake.input.split,
    scores=snakemake.output.scores,
    draws=snakemake.output.draws,
    draws_index=snakemake.output.draws_index,
    vertex_map=snakemake.output.vertex_map,
    queries=snakemake.output.queries,
    bands=snakemake.output.bands,
    subjects=snakemake.params.subjects,
    names=snakemake.params.names,
    settings=snakemake.params.settings,
    facts=snakemake.params.facts,
    n_draws=snakemake.params.n_draws,
    code=snakemake.params.code,
)
