# Report. Needs: leaderboard, figures, costs and sidecars of a study. Makes: one page that opens without a network.


rule write_report:
    input:
        leaderboard="results/studies/{study}/leaderboard.parquet",
        comparisons="results/studies/{study}/comparisons.csv",
        published="results/studies/{study}/published.csv",
        separations=separations_of_report,
        matches=matches_of_report,
        costs="results/studies/{study}/costs.parquet",
        figures=figures_of_study,
        sources=sources_of_study,
        splits=splits_of_study,
        responses=responses_of_study,
    output:
        page="results/studies/{study}/report/index.html",
    log:
        "logs/write_report/{study}.log",
    benchmark:
        "benchmarks/write_report/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=config_of_study,
        facts=facts_of_study,
        captions=captions_of_study,
        code=code_of("write_report"),
    message:
        "Write the report of {wildcards.study}"
    script:
        "../scripts/write_report.py"
