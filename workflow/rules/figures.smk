# Figures. Needs: the leaderboard, and what the figure's plug-in says it needs (comparisons of models, vertex maps, queries,
# bands, win shares, histories, what codes say, published figures, pictures). Makes: the figure as PDF, SVG and PNG with its provenance inside, and its source
# table.


rule draw_figure:
    input:
        leaderboard="results/studies/{study}/leaderboard.parquet",
        comparisons=comparisons_of_figure,
        maps=maps_of_figure,
        queries=queries_of_figure,
        bands=bands_of_figure,
        wins=wins_of_figure,
        histories=histories_of_figure,
        separations=separations_of_figure,
        embeddings=latents_of_figure("embeddings", "embedding"),
        units=latents_of_figure("units", "units"),
        reconstructions=latents_of_figure("reconstructions", "reconstruction"),
        published=published_of_figure,
        packs=packs_of_figure,
        tables=pack_tables_of_figure,
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
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings_of("figures", "{figure}"),
        code=code_of("draw_figure", plugin=("figures", "{figure}")),
    message:
        "Draw {wildcards.figure} of {wildcards.study}"
    script:
        "../scripts/draw_figure.py"
