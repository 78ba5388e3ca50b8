"""What jobs execute lies inside their digests: the smallest study of one subject, traced."""

from pathlib import Path

import pytest

from tests.conftest import copy_project


@pytest.mark.end_to_end
def test_jobs_that_are_traced_execute_nothing_that_their_digests_do_not_cover(tmp_path):
    """One subject of the smallest study, under whatever Python this is."""
    project = copy_project(tmp_path / "project")
    study = project.folder / "config/studies/demo-tiny.yaml"
    study.write_text(study.read_text().replace("subjects: all", "subjects: [sub-01]"))
    project.snakemake("--config", "study=demo-tiny", BOLDFLOW_WATCH_CODE="trace")
    logs = sorted(Path(project.folder / "logs").rglob("*.log"))
    assert len(logs) > 20
    for log in logs:
        assert "all of them covered by the digest" in log.read_text(), log
