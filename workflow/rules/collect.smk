# One named target per stage, for the study of this run: snakemake --profile cpu features
# (A rule with wildcards is no target by name.)
runs.check_targets(workflow, planning.target_problems)


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
        inputs.receipts_of_run(STUDY),


rule trials:
    input:
        inputs.of_run("results/{dataset}/{subject}/trials.parquet", STUDY),


rule stimuli:
    input:
        inputs.of_run("results/{dataset}/stimuli.parquet", STUDY),


rule splits:
    input:
        inputs.of_run("results/{dataset}/splits/{split}.parquet", STUDY),


rule responses:
    input:
        inputs.of_run("results/{dataset}/{subject}/{response}/responses.npy", STUDY),


rule features:
    input:
        inputs.of_run("results/{dataset}/features/{feature}.npy", STUDY),


rule models:
    input:
        inputs.of_run(f"{RESULT}/model.safetensors", STUDY),


rule scores:
    input:
        inputs.of_run(f"{RESULT}/scores.parquet", STUDY),


rule latents:
    input:
        targets.separations(STUDY),
        targets.matches(STUDY),


rule leaderboard:
    input:
        f"results/studies/{STUDY}/leaderboard.parquet",
        f"results/studies/{STUDY}/costs.parquet",
        targets.wins(STUDY),


rule figures:
    input:
        targets.figures(STUDY),


rule report:
    input:
        f"results/studies/{STUDY}/report/index.html",
