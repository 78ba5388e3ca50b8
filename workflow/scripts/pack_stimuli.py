"""Adapter of rule pack_stimuli."""

from _adapter import start

start(snakemake)

from boldflow.stages.trials import pack_stimuli

pack_stimuli.run(
    source=snakemake.input.source,
    receipt=snakemake.input.receipt,
    pack=snakemake.output.pack,
    table=snakemake.output.table,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
)
