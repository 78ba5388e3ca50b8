# Codes of models that see only responses, in studies with the key latents. Needs: a trained model, its subject's responses,
# and the labels of the pictures. Makes: how well the codes tell a class of held-out pictures apart, one embedding, the
# pictures that drive each unit, measured and reconstructed maps of the class, codes of held-out pictures; and, for the study,
# all separations in one table, adjusted over subjects, and the units of one code that are found again in another.


localrules:
    collect_separations,


rule analyse_latents:
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
        stimuli="results/{dataset}/stimuli.parquet",
    output:
        separation="results/studies/{study}/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}/separation.parquet",
        embedding="results/studies/{study}/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}/embedding.parquet",
        units="results/studies/{study}/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}/units.parquet",
        reconstruction="results/studies/{study}/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}/reconstruction.parquet",
        codes="results/studies/{study}/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}/codes.parquet",
    log:
        "logs/analyse_latents/{study}_{dataset}_{subject}_{response}_{feature}_{model}_{split}.log",
    benchmark:
        "benchmarks/analyse_latents/{study}_{dataset}_{subject}_{response}_{feature}_{model}_{split}.tsv"
    wildcard_constraints:
        subject=SUBJECTS_OR_POOLED,
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=planning.more_memory,
        runtime=planning.growing(120),
    params:
        subjects=hand.subjects_of_result,
        names=planning.wildcard_names,
        settings=hand.settings_of("models", "{model}", "analyse_latents"),
        facts=hand.facts_of("datasets", "{dataset}", "analyse_latents"),
        latents=hand.settings_of_latents,
        code=hand.code_of("analyse_latents", plugin=("models", "{model}")),
    message:
        "Ask the codes of {wildcards.model}, {wildcards.subject} of {wildcards.dataset}"
    script:
        "../scripts/analyse_latents.py"


rule collect_separations:
    input:
        separations=inputs.latents_of_study("separation"),
    output:
        table="results/studies/{study}/separations.parquet",
        csv="results/studies/{study}/separations.csv",
    log:
        "logs/collect_separations/{study}.log",
    benchmark:
        "benchmarks/collect_separations/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        code=hand.code_of("collect_separations"),
    message:
        "Collect what the codes of {wildcards.study} say"
    script:
        "../scripts/collect_separations.py"


rule match_units:
    input:
        codes=inputs.codes_of_matched,
    output:
        table="results/studies/{study}/matches.parquet",
        csv="results/studies/{study}/matches.csv",
    log:
        "logs/match_units/{study}.log",
    benchmark:
        "benchmarks/match_units/{study}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(60),
    params:
        names=hand.names_of_matched,
        latents=hand.settings_of_latents,
        code=hand.code_of("match_units"),
    message:
        "Match the units of codes of {wildcards.study}"
    script:
        "../scripts/match_units.py"
