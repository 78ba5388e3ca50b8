"""Adapter of rule project_responses."""

from _adapter import start

start(snakemake)

from boldflow.stages.responses import project_responses

project_responses.run(
    source=snakemake.input.source,
    receipt=snakemake.input.receipt,
    trials=snakemake.input.trials,
    split=snakemake.input.split,
    hrf=snakemake.input.hrf,
    responses=snakemake.output.responses,
    sidecar=snakemake.output.sidecar,
    vertices=snakemake.output.vertices,
    subject=snakemake.wildcards.subject,
    recording=snakemake.params.recording,
    settings=snakemake.params.settings,
    places=snakemake.params.places,
    regions=snakemake.params.regions,
    dataset=snakemake.params.dataset,
    facts=snakemake.params.facts,
    code=snakemake.params.code,
)
