"""Adapter of rule collect_costs."""

from _adapter import start

from boldflow.stages import costs

start(snakemake)
costs.run(
    costs=snakemake.output.costs,
    benchmarks=snakemake.params.benchmarks,
    code=snakemake.params.code,
)
