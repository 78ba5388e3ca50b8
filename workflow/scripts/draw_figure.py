"""Adapter of rule draw_figure."""

from _adapter import start

start(snakemake)

from boldflow.stages.studies import draw_figure

draw_figure.run(
    tables=dict(snakemake.input.items()),
    pdf=snakemake.output.pdf,
    svg=snakemake.output.svg,
    png=snakemake.output.png,
    csv=snakemake.output.csv,
    settings=snakemake.params.settings,
    code=snakemake.params.code,
)
