# Stimulus pack. Needs: the arrived pictures. Makes: all pixels in one HDF5, and a table with a row per picture
# (image_id, size, place, hashes, labels).


rule pack_stimuli:
    input:
        source="resources/receipts/{dataset}/dataset.json",
        receipt="resources/receipts/{dataset}/stimuli.json",
    output:
        pack="results/{dataset}/stimuli.h5",
        table="results/{dataset}/stimuli.parquet",
    log:
        "logs/pack_stimuli/{dataset}.log",
    benchmark:
        "benchmarks/pack_stimuli/{dataset}.tsv"
    conda:
        "../../envs/fetch.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        settings=hand.settings_of("datasets", "{dataset}", "pack_stimuli"),
        code=hand.code_of("pack_stimuli", plugin=("datasets", "{dataset}")),
    message:
        "Pack the pictures of {wildcards.dataset}"
    script:
        "../scripts/pack_stimuli.py"
