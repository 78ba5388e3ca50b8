# Feature cache. Needs: the stimulus pack, and the checkpoint of a feature that opens a network. Makes: (n_images, n_features)
# float32, its index (image_id per row), a sidecar, and a checksum of each picture's row; from shards, jobs with a share of the pictures each, where the entry
# names more than one; from other features, whose columns a stack joins.


rule extract_shard:
    input:
        pack="results/{dataset}/stimuli.h5",
        table="results/{dataset}/stimuli.parquet",
        network=inputs.checkpoint_of_feature,
    output:
        part=temp("results/{dataset}/features/{feature}.shard-{shard}.safetensors"),
    log:
        "logs/extract_shard/{dataset}_{feature}_{shard}.log",
    benchmark:
        "benchmarks/extract_shard/{dataset}_{feature}_{shard}.tsv"
    conda:
        "../../envs/features.yaml"
    threads: 2
    resources:
        gpu=needs.gpus_of_feature,
        mem_mb=needs.memory_of_feature,
        runtime=planning.growing(120),
    params:
        settings=hand.settings_of("features", "{feature}", "extract_shard"),
        code=hand.code_of("extract_shard", plugin=("features", "{feature}")),
    message:
        "Describe shard {wildcards.shard} of the pictures of {wildcards.dataset} by {wildcards.feature}"
    script:
        "../scripts/extract_shard.py"


rule cache_features:
    input:
        pack="results/{dataset}/stimuli.h5",
        table="results/{dataset}/stimuli.parquet",
        network=inputs.checkpoint_of_feature,
        parts=inputs.shards_of_feature,
        members=inputs.members_of_feature("npy"),
        member_indexes=inputs.members_of_feature("parquet"),
    output:
        features="results/{dataset}/features/{feature}.npy",
        index="results/{dataset}/features/{feature}.parquet",
        sidecar="results/{dataset}/features/{feature}.json",
        pictures="results/{dataset}/features/{feature}.pictures.json",
    log:
        "logs/cache_features/{dataset}_{feature}.log",
    benchmark:
        "benchmarks/cache_features/{dataset}_{feature}.tsv"
    conda:
        "../../envs/features.yaml"
    threads: 2
    resources:
        gpu=needs.gpus_of_gathering,
        mem_mb=needs.memory_of_feature,
        runtime=planning.growing(120),
    params:
        settings=hand.settings_of("features", "{feature}", "cache_features"),
        code=hand.code_of("cache_features", plugin=("features", "{feature}")),
    message:
        "Describe the pictures of {wildcards.dataset} by {wildcards.feature}"
    script:
        "../scripts/cache_features.py"
