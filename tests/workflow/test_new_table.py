"""A new table for a figure costs one entry: planted in a copy, with a figure that needs it."""

ENTRY = """
TABLES["vertices"] = Table(
    ("results/{dataset}/{subject}/{response}/vertices.parquet",), Trait.ENCODES, Reader.ROWS, "vertices of an encoder"
)
"""
FIGURE = '''
"""A figure of a table that no other needs."""

from matplotlib.figure import Figure

NEEDS = ["vertices"]
FACTS = {"title": "Vertices", "caption": "How many there are."}
SETTINGS: dict[str, dict[str, str]] = {}


def source_table(tables, settings):
    """Count vertices."""
    return tables["vertices"].assign(simulated=True)


def draw(tables, settings):
    """Draw nothing."""
    return Figure()
'''


def test_a_figure_gets_a_planted_table_and_no_rule_is_edited(project):
    table = project.folder / "src/boldflow/vocabulary/tables.py"
    table.write_text(table.read_text() + ENTRY)
    (project.folder / "src/boldflow/figures/counted.py").write_text(FIGURE.lstrip())
    project.edit("config/config.yaml", "\nfigures:\n", "\nfigures:\n  counted: {}\n")
    project.edit("config/studies/demo-tiny.yaml", "figures: [", "figures: [counted, ")
    plan = project.snakemake("-n", "figures", "--config", "study=demo-tiny").stdout
    job = plan[plan.index("Draw counted of demo-tiny") :].split("\n", 2)[1]  # the reason why it runs
    inputs = job.split("Input files updated by another job: ")[1].split(", ")
    path = "results/sim-tiny/{}/bold-4to10s-fsaverage5/vertices.parquet"
    assert sorted(inputs) == [path.format(subject) for subject in ("sub-01", "sub-02", "sub-03")]
