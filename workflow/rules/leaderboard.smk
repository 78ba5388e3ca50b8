# Leaderboard. Needs: the score tables of a study, predictions of its encoders, and published figures. Makes: one tidy table
# of all rows, the differences between models, win shares of pairs of encoders, the published figures with the reason of each
# that stands beside none of ours, and a table of costs of its own (seconds and memory differ between machines; the
# leaderboard must not).


localrules:
    collect_costs,


rule collect_scores:
    input:
        scores=scores_of_study,
        draws=draws_of_study,
        draws_indexes=draw_indexes_of_study,
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
        code=code_of("collect_scores"),
    message:
        "Collect the leaderboard of {wildcards.study}"
    script:
        "../scripts/collect_scores.py"


rule compare_encoders:
    input:
        predictions=rivals_of_study("predictions.npy"),
        predictions_indexes=rivals_of_study("predictions.parquet"),
        configs=rivals_of_study("config.json"),
        responses=responses_of_rivals("responses.npy"),
        vertices=responses_of_rivals("vertices.parquet"),
        features=features_of_rivals("npy"),
        indexes=features_of_rivals("parquet"),
        trials=trials_of_rivals,
        splits=splits_of_rivals,
    output:
        wins="results/studies/{study}/win_shares.parquet",
        csv="results/studies/{study}/win_shares.csv",
    log:
        "logs/compare_encoders/{study}.log",
    benchmark:
        "benchmarks/compare_encoders/{study}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        names=names_of_rivals,
        facts=facts_of_study,
        n_draws=config.get("bootstrap_draws", 1000),
        code=code_of("compare_encoders"),
    message:
        "Compare the encoders of {wildcards.study} vertex by vertex"
    script:
        "../scripts/compare_encoders.py"


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
        code=code_of("collect_costs"),
    message:
        "Collect the costs of {wildcards.study}"
    script:
        "../scripts/collect_costs.py"
