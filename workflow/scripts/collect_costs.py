"""Adapter of rule collect_costs."""

from _adapter import start

start(snakemake)

from boldflow.stages.studies import collect_costs

collect_costs.run(
    costs=snakemake.output.costs,
    benchmarks=snakemake.params.benchmarks,
    code=snakemake.params.code,
)
