# Training. Needs: responses (n_trials, n_vertices), features (n_images, n_features; none where a model sees only
# responses), trials and split of one subject, or of all where they are pooled.
# Makes: weights and scalers of all seeds and folds, predictions of the test trials (n_seeds, n_test_trials, n_targets),
# history, and config.json, the sidecar.


rule train_model:
    input:
        responses=inputs.for_each_subject(
            "results/{dataset}/{subject}/{response}/responses.npy"
        ),
        responses_sidecar=inputs.for_each_subject(
            "results/{dataset}/{subject}/{response}/responses.json"
        ),
        features=inputs.file_of_feature("npy"),
        index=inputs.file_of_feature("parquet"),
        features_sidecar=inputs.file_of_feature("json"),
        trials=inputs.for_each_subject("results/{dataset}/{subject}/trials.parquet"),
        split="results/{dataset}/splits/{split}.parquet",
    output:
        weights="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/model.safetensors",
        predictions="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/predictions.npy",
        predictions_index="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/predictions.parquet",
        history="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/history.csv",
        sidecar="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/config.json",
    log:
        "logs/train_model/{dataset}_{subject}_{response}_{feature}_{model}_{split}.log",
    benchmark:
        "benchmarks/train_model/{dataset}_{subject}_{response}_{feature}_{model}_{split}.tsv"
    wildcard_constraints:
        subject=SUBJECTS_OR_POOLED,
    priority: 1  # on a small machine scoring, which takes one thread, then runs side by side
    conda:
        "../../envs/train.yaml"
    threads: needs.threads_of_model
    resources:
        gpu=needs.gpus_of_model,
        mem_mb=planning.more_memory,
        runtime=planning.growing(240),
    params:
        pictures="own",  # rows of features of no other subject's pictures are read
        subjects=hand.subjects_of_result,
        settings=hand.settings_of("models", "{model}", "train_model"),
        code=hand.code_of("train_model", plugin=("models", "{model}")),
    message:
        "Train {wildcards.model} on {wildcards.feature}, {wildcards.subject} of {wildcards.dataset}"
    script:
        "../scripts/train_model.py"
