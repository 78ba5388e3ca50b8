# Splits. Needs: trial tables of all subjects, and the stimuli where they are at hand (else pictures are grouped by their
# names only). Makes: one row per trial and fold with its part (train, val, test, drop), once per data set, and a sidecar
# with counts and duplicate groups.


rule make_split:
    input:
        trials=inputs.trials_of_dataset,
        packs=inputs.packs_of_split("h5"),
        tables=inputs.packs_of_split("parquet"),
    output:
        split="results/{dataset}/splits/{split}.parquet",
        sidecar="results/{dataset}/splits/{split}.json",
    log:
        "logs/make_split/{dataset}_{split}.log",
    benchmark:
        "benchmarks/make_split/{dataset}_{split}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        dataset=hand.settings_of("datasets", "{dataset}", "make_split"),
        settings=hand.settings_of("splits", "{split}", "make_split"),
        response=hand.response_of_split,
        facts=hand.facts_of_split,
        code=hand.code_of("make_split", plugin=("datasets", "{dataset}")),
    message:
        "Split {wildcards.dataset} by {wildcards.split}"
    script:
        "../scripts/make_split.py"
