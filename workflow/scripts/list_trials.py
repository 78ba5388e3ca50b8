"""Adapter of rule list_trials."""

from _adapter import start

from boldflow.stages.trials import list_trials

start(snakemake)
list_trials.run(
    source=snakemake.input.source,
    trials=snakemake.output.trials,
    subject=snakemake.wildcards.subject,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
)
