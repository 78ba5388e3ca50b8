"""Adapter of rule collect_costs."""

from _adapter import start

from boldflow.stages.studies import collect_costs

start(snakemake)
collect_costs.run(
    costs=snakemake.output.costs,
    benchmarks=snakemake.params.benchmarks,
    code=snakemake.params.code,
)
