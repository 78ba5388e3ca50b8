"""Costs of jobs that were put back."""

from pathlib import Path

import pytest

from boldflow.runs import costs


def test_costs_of_the_work_outlive_those_of_putting_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path, log = Path("benchmarks/train_model/a_0.5.tsv"), "logs/train_model/a_0.5.log"
    path.parent.mkdir(parents=True)
    path.write_text("work")
    for _ in range(2):
        costs.set_aside(log)
        path.write_text("putting back")  # as Snakemake does when the job has ended
        assert costs.benchmark(path).read_text() == "work"
    costs.put_back()
    assert path.read_text() == "work" and costs.benchmark(path) == path
    costs.set_aside(log)
    costs.forget(log)
    path.write_text("work again")
    costs.put_back()
    assert path.read_text() == "work again"
