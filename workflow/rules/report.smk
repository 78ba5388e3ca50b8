# Report. Needs: the tables that its sections name in NEEDS, of those in boldflow.vocabulary.tables (the leaderboard, figures,
# costs and sidecars of a study among them). Makes: one page that opens without a network.


rule write_report:
    input:
        unpack(inputs.tables_of_report),
    output:
        page="results/studies/{study}/report/index.html",
    log:
        "logs/write_report/{study}.log",
    benchmark:
        "benchmarks/write_report/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(2000),
        runtime=planning.growing(30),
    params:
        study=hand.config_of_study,
        facts=hand.facts_of_study("write_report"),
        captions=hand.captions_of_study,
        code=hand.code_of("write_report"),
    message:
        "Write the report of {wildcards.study}"
    script:
        "../scripts/write_report.py"
