"""What planning costs: dry runs of growing studies beside a plain Snakefile with the same jobs and files.

The studies differ in their number of subjects alone: 5 models x 3 features x 3 responses each, 775 to 9,990 jobs. For
each a row against plain Snakemake and one for what the profile for Slurm (groups, defaults) adds to the one for this
machine; then a row for growth: seconds per job of the largest study against those of the smallest. Planning takes one
core: seconds are those of the processor, so that a busy machine does not show.
"""

import importlib.metadata
import re
import resource
import statistics
import tempfile
from pathlib import Path

import yaml

from bench.harness import Row, alternate
from bench.workflow import call, copy_project

SUBJECTS = (8, 26, 52, 105)
QUICK = (4, 8)
STUDY = "crowd"


def run(quick: bool = False) -> list[Row]:
    """Measure dry runs of studies with 8 to 105 subjects, or with 4 and 8 where ``quick``.

    Returns
    -------
    list of Row
        Two rows per study, then one for growth; all are ratios of processor times.

    Raises
    ------
    RuntimeError
        If Snakemake fails; shows the end of what it said.
    """
    version = importlib.metadata.version("snakemake")
    rows: list[Row] = []
    per_job_s: list[float] = []
    sizes = QUICK if quick else SUBJECTS
    for subjects in sizes:
        repeats = 3 if subjects == sizes[0] else 1
        with tempfile.TemporaryDirectory(prefix="boldflow-bench-") as temporary:
            project, plain = Path(temporary, "project"), Path(temporary, "plain")
            copy_project(project)
            plant_study(project, subjects)
            plain.mkdir()
            call(project, ["python", "bench/_plain.py", STUDY, str(plain / "Snakefile")])
            study = ["--config", f"study={STUDY}"]
            runs = {
                "ours": DryRun(project, "--profile", "cpu", *study),
                "plain": DryRun(plain, "--profile", str(project / "profiles" / "cpu")),
                "slurm": DryRun(project, "--profile", "slurm", *study),
            }
            alternate([one.measure for one in runs.values()], repeats)
        ours_s, plain_s, slurm_s = (one.seconds for one in runs.values())
        jobs = {name: one.jobs() for name, one in runs.items()}
        n_jobs = len(jobs["ours"])
        per_job_s.append(ours_s / n_jobs)
        shape = f"{subjects} subjects x 5 models x 3 features x 3 responses, {n_jobs} jobs"
        rows += [
            Row(
                bench="dag",
                peer="plain Snakefile, snakemake",
                peer_version=version,
                shape=shape,
                ratio=ours_s / plain_s,
                sense="<=",
                bound=1.5,
                agreement=f"{ours_s:.1f} s and {plain_s:.1f} s; same jobs and files: {jobs['ours'] == jobs['plain']}",
                agrees=n_jobs > subjects and jobs["ours"] == jobs["plain"],
                repeats=repeats,
            ),
            Row(
                bench="dag",
                peer="profile cpu, snakemake",
                peer_version=version,
                shape=f"profile slurm, {shape}",
                ratio=slurm_s / ours_s,
                sense="<=",
                bound=3.5,  # Snakemake looks over a whole group whenever a job that it needs ends
                agreement=f"{slurm_s:.1f} s and {ours_s:.1f} s; same jobs and files: {jobs['slurm'] == jobs['ours']}",
                agrees=jobs["slurm"] == jobs["ours"],
                repeats=repeats,
            ),
        ]
    rows.append(
        Row(
            bench="dag",
            peer="the smallest study, snakemake",
            peer_version=version,
            shape=f"seconds per job, {sizes[-1]} over {sizes[0]} subjects",
            ratio=per_job_s[-1] / per_job_s[0],
            sense="<=",
            bound=1.0,
            agreement=f"{1000 * per_job_s[-1]:.1f} ms and {1000 * per_job_s[0]:.1f} ms",
            agrees=True,
            repeats=1,
        )
    )
    return rows


def plant_study(project: Path, subjects: int) -> None:
    """Add a study of 5 models x 3 features x 3 responses to a copy of the project: it can be planned, not run.

    Parameters
    ----------
    project : folder of the copy
    subjects : how many; a data set plug-in with as many is written
    """
    named = [f"sub-{number:03d}" for number in range(1, subjects + 1)]
    plugins = project / "src" / "boldflow" / "datasets"
    text = (plugins / "sim" / "__init__.py").read_text(encoding="utf-8")
    text, n_replaced = re.subn(r'"subjects": \[.*?\]', f'"subjects": {named!r}', text, count=1, flags=re.DOTALL)
    if not n_replaced:
        raise RuntimeError("the plug-in sim names no subjects: nothing to plant others in")
    (plugins / f"{STUDY}.py").write_text(text, encoding="utf-8")

    added = {
        "datasets": {STUDY: {}},
        "responses": {f"window-{start}": {"start_s": start, "duration_s": 6.0} for start in (2.0, 4.0, 6.0)},
        "features": {f"gabor-{number}": {"plugin": "gabor"} for number in (1, 2, 3)},
        "models": {f"ridge-{alpha}": {"plugin": "ridge", "alphas": [alpha]} for alpha in (1.0, 10.0, 100.0, 1000.0)}
        | {"encoder": {"plugin": "ridge", "direction": "encode"}},
        "splits": {"shown-again": {"test": "repeated"}},
    }
    catalogue = project / "config" / "config.yaml"
    config = yaml.safe_load(catalogue.read_text(encoding="utf-8"))
    for section, entries in added.items():
        config[section] |= entries
    catalogue.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    study = {
        "title": "Many jobs",
        "primary": {"metric": "inv_norm_rank", "view": "image"},
        "runs": [{section: list(entries) for section, entries in added.items()} | {"subjects": "all"}],
        "figures": ["leaderboard", "encoding-map", "ceiling-map", "retrieval-examples"],
    }
    place = project / "config" / "studies" / f"{STUDY}.yaml"
    place.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")


class DryRun:
    """A folder's dry run: what it says, and the processor time that it takes."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Name folder and arguments."""
        self._folder, self._arguments = folder, arguments
        self._said = ""
        self._seconds: list[float] = []

    def measure(self) -> None:
        """Run it once."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._said = call(self._folder, ["snakemake", "-n", *self._arguments])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    @property
    def seconds(self) -> float:
        """Median of the runs."""
        return statistics.median(self._seconds)

    def jobs(self) -> list[tuple[str, ...]]:
        """Return the reason of each job, word by word: its missing outputs, and its inputs that other jobs make."""
        reasons = re.findall(r"^\s*reason: (.+)$", self._said, flags=re.MULTILINE | re.IGNORECASE)
        return sorted(tuple(sorted(re.split(r"[,;:] ", reason))) for reason in reasons)
