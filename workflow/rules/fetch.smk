# Download. Needs a network (or a local origin). Makes: receipts, small JSON files that list what arrived (path, annex key,
# size, checksum, commit). Clones and annexed files are never outputs: Snakemake would delete them before a rerun.
# A try that fails leaves the last good receipt (lifecycle.smk). Where a clone comes from (origin, public_url) is no
# parameter: what arrives is the same commit, and nothing follows from another address.


localrules:
    fetch_dataset,
    fetch_subject,
    fetch_stimuli,
    fetch_checkpoint,


rule fetch_dataset:
    output:
        receipt="resources/receipts/{dataset}/dataset.json",
    log:
        "logs/fetch_dataset/{dataset}.log",
    benchmark:
        "benchmarks/fetch_dataset/{dataset}.tsv"
    conda:
        "../../envs/fetch.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        settings=hand.settings_of("datasets", "{dataset}", "fetch_dataset"),
        files=hand.files_reached("fetch_dataset"),
        code=hand.code_of("fetch_dataset", plugin=("datasets", "{dataset}")),
    message:
        "Find and clone {wildcards.dataset}"
    script:
        "../scripts/fetch_dataset.py"


rule fetch_subject:
    input:
        source="resources/receipts/{dataset}/dataset.json",
    output:
        receipt="resources/receipts/{dataset}/{subject}/{recording}.json",
    log:
        "logs/fetch_subject/{dataset}_{subject}_{recording}.log",
    benchmark:
        "benchmarks/fetch_subject/{dataset}_{subject}_{recording}.tsv"
    conda:
        "../../envs/fetch.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        settings=hand.settings_of("datasets", "{dataset}", "fetch_subject"),
        folder=hand.folder_of_recording,
        files=hand.files_reached("fetch_subject"),
        code=hand.code_of("fetch_subject", plugin=("datasets", "{dataset}")),
    message:
        "Get {wildcards.recording} of {wildcards.subject} of {wildcards.dataset}"
    script:
        "../scripts/fetch_subject.py"


rule fetch_stimuli:
    input:
        source="resources/receipts/{dataset}/dataset.json",
    output:
        receipt="resources/receipts/{dataset}/stimuli.json",
    log:
        "logs/fetch_stimuli/{dataset}.log",
    benchmark:
        "benchmarks/fetch_stimuli/{dataset}.tsv"
    conda:
        "../../envs/fetch.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        settings=hand.settings_of("datasets", "{dataset}", "fetch_stimuli"),
        pictures=hand.pictures_of_dataset,
        files=hand.files_reached("fetch_stimuli"),
        facts=hand.facts_of("datasets", "{dataset}", "fetch_stimuli"),
        code=hand.code_of("fetch_stimuli", plugin=("datasets", "{dataset}")),
    message:
        "Get the stimuli of {wildcards.dataset}"
    script:
        "../scripts/fetch_stimuli.py"


rule fetch_checkpoint:
    output:
        receipt="resources/receipts/checkpoints/{feature}.json",
    log:
        "logs/fetch_checkpoint/{feature}.log",
    benchmark:
        "benchmarks/fetch_checkpoint/{feature}.tsv"
    conda:
        "../../envs/features.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        settings=hand.settings_of("features", "{feature}", "fetch_checkpoint"),
        code=hand.code_of("fetch_checkpoint", plugin=("features", "{feature}")),
    message:
        "Get the checkpoint of {wildcards.feature}"
    script:
        "../scripts/fetch_checkpoint.py"
