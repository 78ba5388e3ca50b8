"""``python -m boldflow doctor`` itself, and whether Snakemake takes the profile it proposes."""

import subprocess
import sys
from pathlib import Path

import yaml

from boldflow.__main__ import main
from tests.conftest import ROOT


def test_the_command_says_where_to_start_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 1
    assert "start the command in the project's folder" in capsys.readouterr().err


def test_the_proposed_profile_is_usable_at_once(here, capsys):
    """Snakemake itself reads what is proposed from the project's own profiles."""
    for name in ("cpu", "slurm"):
        Path(f"profiles/{name}/config.yaml").write_text((ROOT / "profiles" / name / "config.yaml").read_text())
    here.slurm(accounts="max||\n", default="max")  # a name that Python knows
    here.torch(cuda="12.8", devices=1)
    assert main(["doctor", "--no-jobs", "--write", "profiles/proposed"]) == 0, capsys.readouterr().out
    base = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    written = yaml.safe_load(Path("profiles/proposed/config.yaml").read_text())
    assert base.keys() - written.keys() <= {"slurm-no-account", "set-resources"}
    Path("Snakefile").write_text("rule all:\n    output: 'x'\n    shell: 'touch {output}'\n")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--profile", "profiles/proposed"],
        env={"PATH": f"{here.programs}:/usr/bin:/bin", "HOME": str(here.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "slurm_account=max" in said and "gpu=0" in said and "slurm_partition" not in said
