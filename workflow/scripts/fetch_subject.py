"""Adapter of rule fetch_subject."""

from _adapter import places, start

start(snakemake, looks_outside=True)

from boldflow.stages.fetch import fetch_subject

fetch_subject.run(
    source=snakemake.input.source,
    receipt=snakemake.output.receipt,
    subject=snakemake.wildcards.subject,
    recording=snakemake.wildcards.recording,
    settings=snakemake.params.settings,
    places=places(snakemake),
)
