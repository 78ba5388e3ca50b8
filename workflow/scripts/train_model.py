"""Adapter of rule train_model."""

from _adapter import device, start

start(snakemake)

from boldflow.stages.models import train_model

train_model.run(
    responses=snakemake.input.responses,
    responses_sidecar=snakemake.input.responses_sidecar,
    features=snakemake.input.features,
    index=snakemake.input.index,
    features_sidecar=snakemake.input.features_sidecar,
    trials=snakemake.input.trials,
    split=snakemake.input.split,
    weights=snakemake.output.weights,
    predictions=snakemake.output.predictions,
    predictions_index=snakemake.output.predictions_index,
    history=snakemake.output.history,
    sidecar=snakemake.output.sidecar,
    subjects=snakemake.params.subjects,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
    device=device(snakemake),
)
