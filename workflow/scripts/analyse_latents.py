"""Adapter of rule analyse_latents."""

from _adapter import start

start(snakemake)

from boldflow.stages.models import analyse_latents

analyse_latents.run(
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
    stimuli=snakemake.input.stimuli,
    separation=snakemake.output.separation,
    embedding=snakemake.output.embedding,
    units=snakemake.output.units,
    reconstruction=snakemake.output.reconstruction,
    codes=snakemake.output.codes,
    subjects=snakemake.params.subjects,
    names=snakemake.params.names,
    settings=snakemake.params.settings,
    facts=snakemake.params.facts,
    latents_=snakemake.params.latents,
    code=snakemake.params.code,
)
