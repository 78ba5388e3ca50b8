# Leaderboard. Needs: the score tables of a study, and published figures. Makes: one tidy table of all rows, the differences
# between models, the published figures with the reason of each that stands beside none of ours, and a table of costs of its
# own (seconds and memory differ between machines; the leaderboard must not).


localrules:
    collect_costs,


rule collect_scores:
    input:
        scores=scores_of_study,
        draws=draws_of_study,
        published="config/published.csv",
    output:
        leaderboard="results/studies/{study}/leaderboard.parquet",
        csv="results/studies/{study}/leaderboard.csv",
        comparisons="results/studies/{study}/comparisons.csv",
        published="results/studies/{study}/published.csv",
    log:
        "logs/collect_scores/{study}.log",
    benchmark:
        "benchmarks/collect_scores/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=config_of_study,
        code=code_of("stages.collect"),
    message:
        "Collect the leaderboard of {wildcards.study}"
    script:
        "../scripts/collect_scores.py"


rule collect_costs:
    input:
        scores=scores_of_study,
    output:
        costs="results/studies/{study}/costs.parquet",
    log:
        "logs/collect_costs/{study}.log",
    benchmark:
        "benchmarks/collect_costs/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        benchmarks=benchmarks_of_study,
        code=code_of("stages.costs"),
    message:
        "Collect the costs of {wildcards.study}"
    script:
        "../scripts/collect_costs.py"
