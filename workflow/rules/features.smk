# Feature cache. Needs: the stimulus pack. Makes: (n_images, n_features) float32, its index (image_id per row) and a
# sidecar.


rule cache_features:
    input:
        pack="results/{dataset}/stimuli.h5",
        table="results/{dataset}/stimuli.parquet",
    output:
        features="results/{dataset}/features/{feature}.npy",
        index="results/{dataset}/features/{feature}.parquet",
        sidecar="results/{dataset}/features/{feature}.json",
    log:
        "logs/cache_features/{dataset}_{feature}.log",
    benchmark:
        "benchmarks/cache_features/{dataset}_{feature}.tsv"
    conda:
        "../../envs/features.yaml"
    threads: 2
    resources:
        gpu=gpus_of_feature,
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=settings_of("features", "{feature}"),
        code=code_of("stages.features", plugin=("features", "{feature}")),
    message:
        "Describe the pictures of {wildcards.dataset} by {wildcards.feature}"
    script:
        "../scripts/cache_features.py"
