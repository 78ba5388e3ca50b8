# Scores. Needs: predictions of the test trials and what they are compared with. Makes: a tidy table (a row per metric and
# view), a map (a row per vertex, for encoders), the queries (a row per test picture, for retrieval) and the bands (a row per
# region and joined feature, for encoders of several).


rule score_model:
    input:
        predictions="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/predictions.npy",
        predictions_index="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/predictions.parquet",
        weights="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/model.safetensors",
        config="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/config.json",
        responses=inputs.for_each_subject(
            "results/{dataset}/{subject}/{response}/responses.npy"
        ),
        vertices=inputs.for_each_subject(
            "results/{dataset}/{subject}/{response}/vertices.parquet"
        ),
        features=inputs.file_of_feature("npy"),
        index=inputs.file_of_feature("parquet"),
        trials=inputs.for_each_subject("results/{dataset}/{subject}/trials.parquet"),
        split="results/{dataset}/splits/{split}.parquet",
    output:
        scores="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/scores.parquet",
        draws="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/draws.npy",
        draws_index="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/draws.parquet",
        vertex_map="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/map.parquet",
        queries="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/queries.parquet",
        bands="results/{dataset}/{subject}/{response}/{feature}/{model}/{split}/bands.parquet",
    log:
        "logs/score_model/{dataset}_{subject}_{response}_{feature}_{model}_{split}.log",
    benchmark:
        "benchmarks/score_model/{dataset}_{subject}_{response}_{feature}_{model}_{split}.tsv"
    wildcard_constraints:
        subject=SUBJECTS_OR_POOLED,
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=planning.more_memory,
        runtime=planning.growing(60),
    params:
        pictures=hand.pictures_scored,
        subjects=hand.subjects_of_result,
        names=planning.wildcard_names,
        settings=hand.settings_of("models", "{model}", "score_model"),
        facts=hand.facts_of("datasets", "{dataset}", "score_model"),
        n_draws=config.get("bootstrap_draws", 1000),
        code=hand.code_of("score_model", plugin=("models", "{model}")),
    message:
        "Score {wildcards.model} on {wildcards.feature}, {wildcards.subject} of {wildcards.dataset}"
    script:
        "../scripts/score_model.py"
