"""A simulated study of a seed taken through the stages of the workflow in this process, up to what a model is given."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from boldflow import catalogue, registry
from boldflow.provenance import canonical
from boldflow.stages._aligned import Aligned, align
from boldflow.stages.features import cache_features
from boldflow.stages.fetch import fetch_dataset, fetch_stimuli, fetch_subject
from boldflow.stages.responses import project_responses
from boldflow.stages.trials import list_trials, make_split, pack_stimuli

PROJECT = Path(__file__).resolve().parents[1]
CODE, NOWHERE = canonical("bench"), canonical({})
Catalogue = dict[str, Any]


def read_catalogue() -> tuple[Catalogue, Catalogue]:
    """Read the project's catalogue and its schemas."""
    config = yaml.safe_load((PROJECT / "config/config.yaml").read_text(encoding="utf-8"))
    return config, registry.read_schemas(PROJECT / "workflow/schemas")


class Simulation:
    """Subjects of ``plugin: sim`` at one seed, below the folder that is the working folder.

    Parameters
    ----------
    entry : name of the data set's entry, whose settings are taken but for the seed
    seed : of pictures, brains, order of trials and noise
    feature, split : names of entries
    """

    def __init__(self, entry: str, seed: int, feature: str, split: str) -> None:
        """Simulate, list, pack, split and describe the pictures."""
        self.config, self.schemas = read_catalogue()
        self.name = f"{entry}-seed{seed}"
        self.config["datasets"][self.name] = {**self.config["datasets"][entry], "seed": seed}
        self.feature, self.split = feature, split
        self.subjects = catalogue.subjects(self.config, self.name)
        self.data = self.settings("datasets", self.name)
        self.facts = asdict(catalogue.dataset_facts(self.config, self.name))
        self._arrive()
        self._describe()

    def settings(self, section: str, name: str) -> Catalogue:
        """Give an entry with its defaults."""
        return catalogue.settings(self.config, self.schemas, section, name)

    def aligned(self, response: str) -> dict[str, Aligned]:
        """Project the response, where that is not done yet, and line up what belongs to each subject."""
        return {subject: self._of_subject(subject, response) for subject in self.subjects}

    def _at(self, *parts: str) -> str:
        path = Path("results", self.name, *parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def _receipt(self, what: str) -> str:
        path = Path("resources/receipts", self.name, f"{what}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def _arrive(self) -> None:
        source, stimuli, own = self._receipt("dataset"), self._receipt("stimuli"), canonical(self.data)
        fetch_dataset.run(source, own, NOWHERE, CODE)
        fetch_stimuli.run(source, stimuli, own, NOWHERE, canonical(self.facts), CODE)
        for subject in self.subjects:
            fetch_subject.run(source, self._receipt(f"{subject}/bold"), subject, "bold", own, NOWHERE, CODE)
            list_trials.run(source, self._at(subject, "trials.parquet"), subject, own, CODE)
        pack_stimuli.run(source, stimuli, self._at("stimuli.h5"), self._at("stimuli.parquet"), own, CODE)

    def _describe(self) -> None:
        trials = [self._at(subject, "trials.parquet") for subject in self.subjects]
        pack, table = [self._at("stimuli.h5")], [self._at("stimuli.parquet")]
        files = [self._at("splits", f"{self.split}.{kind}") for kind in ("parquet", "json")]
        how = canonical(self.settings("splits", self.split))
        make_split.run(
            trials, pack, table, *files, self.name, canonical(self.data), how, "", canonical(self.facts), CODE
        )
        made = [
            self._at("features", f"{self.feature}{kind}") for kind in (".npy", ".parquet", ".json", ".pictures.json")
        ]
        described = canonical(self.settings("features", self.feature))
        cache_features.run(pack[0], table[0], [], [], *made, described, CODE, "cpu", 1)

    def _of_subject(self, subject: str, response: str) -> Aligned:
        trials = self._at(subject, "trials.parquet")
        names = ("responses.npy", "responses.json", "vertices.parquet")
        values, *_ = files = [self._at(subject, response, name) for name in names]
        if not Path(values).exists():
            project_responses.run(
                self._receipt("dataset"),
                self._receipt(f"{subject}/bold"),
                trials,
                [],
                [],
                *files,
                subject,
                "bold",
                canonical(self.settings("responses", response)),
                NOWHERE,
                NOWHERE,
                canonical(self.data),
                canonical(self.facts),
                CODE,
            )
        made = [self._at("features", f"{self.feature}{kind}") for kind in (".npy", ".parquet")]
        return align(values, *made, trials, self._at("splits", f"{self.split}.parquet"), subject)


@contextlib.contextmanager
def removable(folder: Path) -> Iterator[Path]:
    """Work in a folder; git-annex takes write permission from the folders of its objects, which is given back."""
    with contextlib.chdir(folder):
        try:
            yield folder
        finally:
            for place in (path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()):
                place.chmod(0o700)
