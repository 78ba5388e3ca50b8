# Trial tables. Needs: the text files of the data set, no imaging. Makes: one row per trial, in the order of acquisition.


rule list_trials:
    input:
        source="resources/receipts/{dataset}/dataset.json",
    output:
        trials="results/{dataset}/{subject}/trials.parquet",
    log:
        "logs/list_trials/{dataset}_{subject}.log",
    benchmark:
        "benchmarks/list_trials/{dataset}_{subject}.tsv"
    conda:
        "../../envs/fetch.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        settings=hand.settings_of("datasets", "{dataset}", "list_trials"),
        files=hand.files_reached("list_trials"),
        code=hand.code_of("list_trials", plugin=("datasets", "{dataset}")),
    message:
        "List trials of {wildcards.subject} of {wildcards.dataset}"
    script:
        "../scripts/list_trials.py"
