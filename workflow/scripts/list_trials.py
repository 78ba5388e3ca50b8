"""Adapter of rule list_trials."""

from _adapter import start

start(snakemake)

from boldflow.stages.trials import list_trials

list_trials.run(
    source=snakemake.input.source,
    trials=snakemake.output.trials,
    subject=snakemake.wildcards.subject,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
)
