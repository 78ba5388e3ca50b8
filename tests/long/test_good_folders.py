"""Folders in which ``check`` finds nothing run: the splits and one response of each, all in one study."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow.commands.check.check import check
from tests.conftest import copy_project
from tests.made.good_folders import GOOD
from tests.made.own_bids import OwnFolder

STUDY = "title: Folders in order\nprimary: {metric: inv_norm_rank, view: image}\nruns:\n"
RUN = (
    "  - {{datasets: [{name}], subjects: all, responses: [{response}], features: [gabor], models: [ridge],\n"
    "     splits: [{split}]}}\n"
)
pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1800)]


def test_each_folder_that_is_in_order_runs(tmp_path, monkeypatch):
    project = copy_project(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    entries, study, made = "", STUDY, {}
    for number, lay in enumerate(GOOD):
        folder, name = OwnFolder(tmp_path / f"tree-{number}"), f"tree-{number}"
        lay(folder)
        text, code = check(str(folder.folder), {}, None, as_json=True)
        report = json.loads(text)
        assert code == 0
        entries += f"  {name}: {json.dumps(report['entry'])}\n"
        split = next(row["name"] for row in report["splits"] if not row["refusal"])
        study += RUN.format(name=name, response=report["response"], split=split)
        made[name] = (report["entry"]["subjects"], report["response"], split)
    project.edit("config/config.yaml", "  haxby: {}\n", "  haxby: {}\n" + entries)
    (project.folder / "config/studies/folders.yaml").write_text(study)
    project.snakemake("trials", "splits", "responses", "--config", "study=folders", seconds=1700)
    for name, (subjects, response, split) in made.items():
        results = project.folder / "results" / name
        assert set(pd.read_parquet(results / f"splits/{split}.parquet")["part"]) >= {"train", "test"}, name
        for subject in subjects:
            responses = np.load(results / subject / response / "responses.npy")
            assert len(responses) == len(pd.read_parquet(results / subject / "trials.parquet")) == 20, name
            assert np.isfinite(responses).all() and responses.std() > 0, name
