"""Adapter of rule cache_features."""

from _adapter import device, start

start(snakemake)

from boldflow.stages.features import cache_features

cache_features.run(
    pack=snakemake.input.pack,
    table=snakemake.input.table,
    network=snakemake.input.network,
    parts=snakemake.input.parts,
    features=snakemake.output.features,
    index=snakemake.output.index,
    sidecar=snakemake.output.sidecar,
    pictures=snakemake.output.pictures,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
    device=device(snakemake),
    workers=snakemake.threads,
    members=snakemake.input.members,
    member_indexes=snakemake.input.member_indexes,
)
