from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"
include: "workflow/rules/lifecycle.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/trials.smk"
include: "workflow/rules/stimuli.smk"
include: "workflow/rules/splits.smk"
include: "workflow/rules/responses.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/latents.smk"
include: "workflow/rules/leaderboard.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/collect.smk"


rule all:
    default_target: True
    input:
        f"results/studies/{STUDY}/report/index.html",
