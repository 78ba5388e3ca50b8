# One named target per stage, for the study of this run: snakemake --profile cpu features
# (A rule with wildcards is no target by name.)
localrules:
    all,
    prefetch,
    trials,
    stimuli,
    splits,
    responses,
    features,
    models,
    scores,
    latents,
    leaderboard,
    figures,
    report,


rule prefetch:
    input:
        receipts_of_run,


rule trials:
    input:
        paths_of_run("results/{dataset}/{subject}/trials.parquet"),


rule stimuli:
    input:
        paths_of_run("results/{dataset}/stimuli.parquet"),


rule splits:
    input:
        paths_of_run("results/{dataset}/splits/{split}.parquet"),


rule responses:
    input:
        paths_of_run("results/{dataset}/{subject}/{response}/responses.npy"),


rule features:
    input:
        features_of_run,


rule models:
    input:
        paths_of_run(f"{RESULT}/model.safetensors"),


rule scores:
    input:
        paths_of_run(f"{RESULT}/scores.parquet"),


rule latents:
    input:
        separations_of_study(STUDY),
        matches_of_study(STUDY),


rule leaderboard:
    input:
        f"results/studies/{STUDY}/leaderboard.parquet",
        f"results/studies/{STUDY}/costs.parquet",
        wins_of_study(STUDY),


rule figures:
    input:
        [
            f"results/studies/{STUDY}/figures/{name}.png"
            for name in read_study(STUDY)["figures"]
        ],


rule report:
    input:
        f"results/studies/{STUDY}/report/index.html",
