"""Adapter of rule draw_figure."""

from _adapter import start

from boldflow.stages.studies import draw_figure

start(snakemake)
draw_figure.run(
    leaderboard=snakemake.input.leaderboard,
    comparisons=snakemake.input.comparisons,
    maps=snakemake.input.maps,
    queries=snakemake.input.queries,
    bands=snakemake.input.bands,
    wins=snakemake.input.wins,
    histories=snakemake.input.histories,
    separations=snakemake.input.separations,
    embeddings=snakemake.input.embeddings,
    units=snakemake.input.units,
    reconstructions=snakemake.input.reconstructions,
    published=snakemake.input.published,
    packs=snakemake.input.packs,
    tables_=snakemake.input.tables,
    pdf=snakemake.output.pdf,
    svg=snakemake.output.svg,
    png=snakemake.output.png,
    csv=snakemake.output.csv,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
)
