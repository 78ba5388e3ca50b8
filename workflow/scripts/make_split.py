"""Adapter of rule make_split."""

from _adapter import start

from boldflow.stages import make_split

start(snakemake)
make_split.run(
    trials=snakemake.input.trials,
    stimuli=snakemake.input.stimuli,
    split=snakemake.output.split,
    sidecar=snakemake.output.sidecar,
    settings=snakemake.params.settings,
    facts=snakemake.params.facts,
    code=snakemake.params.code,
)
