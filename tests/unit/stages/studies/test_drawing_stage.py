"""What the drawing stage hands to a figure: tables as the list says how they are read, pictures and meshes."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from boldflow.artifacts.store import drawings, tables
from boldflow.stages.studies import _tables, draw_figure
from boldflow.vocabulary.tables import TABLES, Reader, Table, Trait

ENTRY = {"name": "made", "plugin": "made"}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Run the stage with a figure that keeps what it is handed."""
    handed = []

    def draw(received, settings):
        handed.append(received)
        return Figure(figsize=(1, 1))

    def run(paths, source):
        figure = SimpleNamespace(source_table=lambda received, settings: source(received), draw=draw)
        monkeypatch.setattr(draw_figure, "plugin_of", lambda section, entry: figure)
        files = {suffix: str(tmp_path / f"made.{suffix}") for suffix in ("pdf", "svg", "png", "csv")}
        draw_figure.run(paths, **files, settings=json.dumps(ENTRY), code="{}")
        return handed[-1], files

    return run


def written(path, rows):
    tables.write(path, pd.DataFrame(rows))
    return str(path)


def test_a_table_that_is_planted_in_the_list_is_read_and_its_checksum_kept(stage, tmp_path, monkeypatch):
    planted = Table(("{dataset}.parquet",), Trait.ANY, Reader.ROWS, "planted rows")
    monkeypatch.setitem(TABLES, "planted", planted)
    paths = [written(tmp_path / f"{n}.parquet", {"n": [n], "simulated": [False]}) for n in (1, 2)]
    received, files = stage({"planted": paths}, lambda received: received["planted"])
    assert received["planted"]["n"].tolist() == [1, 2] and not received.meshes and not received.images
    assert pd.read_csv(files["csv"])["n"].tolist() == [1, 2]
    assert set(drawings.note(files["svg"])["tables"]) == set(paths)


@pytest.mark.parametrize("rows", [None, {"n": [], "simulated": []}])
def test_a_study_without_a_row_of_a_needed_table_is_told_what_it_lacks(stage, tmp_path, rows):
    paths = [written(tmp_path / "map.parquet", rows)] if rows else []
    with pytest.raises(ValueError, match="figure made: the study has no vertex maps"):
        stage({"maps": paths}, lambda received: received["maps"])


def test_meshes_come_as_arrays_where_a_figure_names_them(stage, tmp_path):
    paths = [written(tmp_path / "map.parquet", {"simulated": [True]})]
    received, _ = stage({"maps": paths, "meshes": []}, lambda received: received["maps"])
    left = received.meshes["left"]
    assert left.inflated.points.shape == (10_242, 3) and left.depth.shape == (10_242,)
    assert left.inflated.faces.max() == 10_241 and len(np.unique(left.flat.faces)) < 10_242


def test_histories_say_whose_they_are_and_whether_simulated(tmp_path):
    board = written(tmp_path / "leaderboard.parquet", {"dataset": ["sim", "haxby"], "simulated": [True, False]})
    paths = []
    for dataset, content in (("sim", "epoch,loss\n1,0.5\n2,0.25\n"), ("haxby", "alpha,score\n1,2\n")):
        folder = tmp_path / dataset / "sub-01" / "bold" / "gabor" / "fmri-mlp" / "repeated"
        folder.mkdir(parents=True)
        (folder / "history.csv").write_text(content)
        paths.append(str(folder / "history.csv"))
    histories = _tables.read_frames({"histories": [*paths, board]})["histories"]
    assert histories["loss"].tolist() == [0.5, 0.25] and histories["simulated"].all()
    whose = histories[["dataset", "subject", "response", "feature", "model", "split"]].drop_duplicates()
    assert whose.to_numpy().tolist() == [["sim", "sub-01", "bold", "gabor", "fmri-mlp", "repeated"]]
    without = _tables.read_frames({"histories": [paths[1], board]})["histories"]
    assert without.empty
