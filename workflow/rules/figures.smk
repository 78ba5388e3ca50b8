# Figures. Needs: the tables that the figure's plug-in names in NEEDS, of those in boldflow.vocabulary.tables. Makes: the
# figure as PDF, SVG and PNG with its provenance inside, and its source table.


rule draw_figure:
    input:
        unpack(inputs.tables_of_figure),
    output:
        pdf="results/studies/{study}/figures/{figure}.pdf",
        svg="results/studies/{study}/figures/{figure}.svg",
        png="results/studies/{study}/figures/{figure}.png",
        csv="results/studies/{study}/figures/{figure}.csv",
    log:
        "logs/draw_figure/{study}_{figure}.log",
    benchmark:
        "benchmarks/draw_figure/{study}_{figure}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=planning.growing(4000),
        runtime=planning.growing(30),
    params:
        settings=hand.settings_of("figures", "{figure}", "draw_figure"),
        code=hand.code_of("draw_figure", plugin=("figures", "{figure}")),
    message:
        "Draw {wildcards.figure} of {wildcards.study}"
    script:
        "../scripts/draw_figure.py"
