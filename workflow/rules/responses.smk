# Responses. Needs: the arrived BOLD and the trial table (and a split, where statistics come from its training trials;
# a table of haemodynamic responses, where an entry names one). Makes: (n_trials, n_vertices) float32, or
# (n_trials, n_trs, n_vertices) where time is kept; and a table with a row per column (vertex or voxel, ROIs).


rule project_responses:
    input:
        source="resources/receipts/{dataset}/dataset.json",
        receipt=receipt_of_response,
        trials="results/{dataset}/{subject}/trials.parquet",
        split=split_of_response,
        hrf=hrf_table_of_response,
    output:
        responses="results/{dataset}/{subject}/{response}/responses.npy",
        sidecar="results/{dataset}/{subject}/{response}/responses.json",
        vertices="results/{dataset}/{subject}/{response}/vertices.parquet",
    log:
        "logs/project_responses/{dataset}_{subject}_{response}.log",
    benchmark:
        "benchmarks/project_responses/{dataset}_{subject}_{response}.tsv"
    conda:
        "../../envs/surface.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(120),
    params:
        settings=settings_of("responses", "{response}"),
        places=places_of("responses", "{response}"),
        regions=region_files_of_response,
        dataset=settings_of("datasets", "{dataset}"),
        facts=facts_of("datasets", "{dataset}"),
        recording=recording_of("{response}"),
        code=code_of("project_responses", plugin=("datasets", "{dataset}")),
    message:
        "Project {wildcards.subject} of {wildcards.dataset} to {wildcards.response}"
    script:
        "../scripts/project_responses.py"
