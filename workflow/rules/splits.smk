# Splits. Needs: trial tables of all subjects, and the stimuli where they are at hand (else pictures are grouped by their
# names only). Makes: one row per trial and fold with its part (train, val, test, drop), once per data set, and a sidecar
# with counts and duplicate groups.


rule make_split:
    input:
        trials=trials_of_dataset,
        packs=packs_of_split,
        tables=pack_tables_of_split,
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
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        dataset=settings_of("datasets", "{dataset}"),
        settings=settings_of("splits", "{split}"),
        response=response_of_split,
        facts=facts_of("datasets", "{dataset}"),
        code=code_of("make_split", plugin=("datasets", "{dataset}")),
    message:
        "Split {wildcards.dataset} by {wildcards.split}"
    script:
        "../scripts/make_split.py"
