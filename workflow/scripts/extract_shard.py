"""Adapter of rule extract_shard."""

from _adapter import device, start

start(snakemake)

from boldflow.stages.features import extract_shard

extract_shard.run(
    pack=snakemake.input.pack,
    table=snakemake.input.table,
    network=snakemake.input.network,
    part=snakemake.output.part,
    shard=snakemake.wildcards.shard,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
    device=device(snakemake),
    workers=snakemake.threads,
)
