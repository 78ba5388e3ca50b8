"""Adapter of rule make_split."""

from _adapter import start

start(snakemake)

from boldflow.stages.trials import make_split

make_split.run(
    trials=snakemake.input.trials,
    packs=snakemake.input.packs,
    tables_=snakemake.input.tables,
    split=snakemake.output.split,
    sidecar=snakemake.output.sidecar,
    dataset=snakemake.wildcards.dataset,
    dataset_settings=snakemake.params.dataset,
    settings=snakemake.params.settings,
    response=snakemake.params.response,
    facts=snakemake.params.facts,
    code=snakemake.params.code,
)
