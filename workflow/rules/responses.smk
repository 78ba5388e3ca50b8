# Responses. Needs: the arrived BOLD and the trial table (and a split, where statistics come from its training trials;
# a table of haemodynamic responses, where an entry names one). Makes: (n_trials, n_vertices) float32, or
# (n_trials, n_trs, n_vertices) where time is kept; and a table with a row per column (vertex or voxel, ROIs).


rule project_responses:
    input:
        source="resources/receipts/{dataset}/dataset.json",
        receipt=inputs.receipt_of_response,
        trials="results/{dataset}/{subject}/trials.parquet",
        split=inputs.split_of_response,
        hrf=inputs.hrf_table_of_response,
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
        mem_mb=planning.growing(6000),
        runtime=planning.growing(120),
    params:
        settings=hand.settings_of("responses", "{response}", "project_responses"),
        places=hand.places_of("responses", "{response}"),
        regions=hand.region_files_of_response,
        meshes=hand.meshes_of_response,
        dataset=hand.settings_of("datasets", "{dataset}", "project_responses"),
        facts=hand.facts_of("datasets", "{dataset}", "project_responses"),
        recording=hand.recording_of("{response}"),
        code=hand.code_of("project_responses", plugin=("datasets", "{dataset}")),
    message:
        "Project {wildcards.subject} of {wildcards.dataset} to {wildcards.response}"
    script:
        "../scripts/project_responses.py"
