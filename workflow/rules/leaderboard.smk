# Leaderboard. Needs: the score tables of a study, predictions of its encoders, and published figures. Makes: one tidy table
# of all rows, the differences between models, prevalence over people, win shares of pairs of encoders, the published figures with the reason of each
# that stands beside none of ours, and a table of costs of its own (seconds and memory differ between machines; the
# leaderboard must not).


localrules:
    collect_costs,


rule collect_scores:
    input:
        scores=inputs.of_study(f"{RESULT}/scores.parquet"),
        draws=inputs.of_study(f"{RESULT}/draws.npy"),
        draws_indexes=inputs.of_study(f"{RESULT}/draws.parquet"),
        published="config/published.csv",
    output:
        leaderboard="results/studies/{study}/leaderboard.parquet",
        csv="results/studies/{study}/leaderboard.csv",
        comparisons="results/studies/{study}/comparisons.csv",
        people="results/studies/{study}/prevalence.csv",
        published="results/studies/{study}/published.csv",
    log:
        "logs/collect_scores/{study}.log",
    benchmark:
        "benchmarks/collect_scores/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        study=hand.primary_of_study,
        code=hand.code_of("collect_scores"),
    message:
        "Collect the leaderboard of {wildcards.study}"
    script:
        "../scripts/collect_scores.py"


rule compare_encoders:
    input:
        predictions=inputs.for_each_rival(f"{RESULT}/predictions.npy"),
        predictions_indexes=inputs.for_each_rival(f"{RESULT}/predictions.parquet"),
        configs=inputs.for_each_rival(f"{RESULT}/config.json"),
        responses=inputs.for_each_rival(
            "results/{dataset}/{subject}/{response}/responses.npy"
        ),
        vertices=inputs.for_each_rival(
            "results/{dataset}/{subject}/{response}/vertices.parquet"
        ),
        features=inputs.for_each_rival("results/{dataset}/features/{feature}.npy"),
        indexes=inputs.for_each_rival("results/{dataset}/features/{feature}.parquet"),
        trials=inputs.for_each_rival("results/{dataset}/{subject}/trials.parquet"),
        splits=inputs.for_each_rival("results/{dataset}/splits/{split}.parquet"),
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
        mem_mb=planning.growing(8000),
        runtime=planning.growing(60),
    params:
        names=hand.names_of_rivals,
        facts=hand.facts_of_study("compare_encoders"),
        n_draws=config.get("bootstrap_draws", 1000),
        code=hand.code_of("compare_encoders"),
    message:
        "Compare the encoders of {wildcards.study} vertex by vertex"
    script:
        "../scripts/compare_encoders.py"


rule collect_costs:
    input:
        scores=inputs.of_study(f"{RESULT}/scores.parquet"),
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
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        benchmarks=needs.benchmarks_of_study,
        code=hand.code_of("collect_costs"),
    message:
        "Collect the costs of {wildcards.study}"
    script:
        "../scripts/collect_costs.py"
