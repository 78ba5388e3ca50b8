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
    leaderboard,
    figures,
    report,


rule prefetch:
    input:
        receipts_of_study(STUDY),


rule trials:
    input:
        paths("results/{dataset}/{subject}/trials.parquet", STUDY),


rule stimuli:
    input:
        paths("results/{dataset}/stimuli.parquet", STUDY),


rule splits:
    input:
        paths("results/{dataset}/splits/{split}.parquet", STUDY),


rule responses:
    input:
        paths("results/{dataset}/{subject}/{response}/responses.npy", STUDY),


rule features:
    input:
        paths("results/{dataset}/features/{feature}.npy", STUDY),


rule models:
    input:
        paths(f"{RESULT}/model.safetensors", STUDY),


rule scores:
    input:
        paths(f"{RESULT}/scores.parquet", STUDY),


rule leaderboard:
    input:
        f"results/studies/{STUDY}/leaderboard.parquet",
        f"results/studies/{STUDY}/costs.parquet",


rule figures:
    input:
        [
            f"results/studies/{STUDY}/figures/{name}.png"
            for name in read_study(STUDY)["figures"]
        ],


rule report:
    input:
        f"results/studies/{STUDY}/report/index.html",
