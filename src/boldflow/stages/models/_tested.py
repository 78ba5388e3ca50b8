"""What is scored, as records: one subject's test trials, and what the results of all subjects share."""

from dataclasses import asdict, dataclass

import numpy as np

from boldflow import registry
from boldflow.artifacts.store.model_notes import ModelNotes
from boldflow.core.records.facts import DataFacts
from boldflow.core.records.test_sets import TestSet
from boldflow.provenance import canonical, digest
from boldflow.settings import Entry
from boldflow.stages._aligned import Aligned, test_set
from boldflow.vocabulary.facts import ModelFacts
from boldflow.vocabulary.results import ResultKey

Row = dict[str, object]


@dataclass(frozen=True)
class Tested:
    """One subject's test trials.

    ``result`` names them in tables; ``image_id`` (n_images,) each test image; ``rows`` (n_test_trials,) the test trials
    in ``data.trials``; ``vertices``: path of the table of the subject's vertices, or nothing.
    """

    result: ResultKey
    data: Aligned
    test: TestSet
    image_id: np.ndarray
    rows: np.ndarray
    vertices: str


@dataclass(frozen=True)
class Scoring:
    """What the scores of all subjects of a model share.

    ``notes``: of its training; ``settings``: what its entry says of scoring; ``weights``: path of its safetensors;
    ``code``: digests of the code that scores, JSON text; ``pooled``: whether one model learnt from all subjects;
    ``warning``: what split and fit say that every row has to tell; ``label_in_blocks``: a label that comes in blocks
    within runs, or nothing.
    """

    notes: ModelNotes
    settings: Entry
    facts: DataFacts
    weights: str
    n_draws: int
    code: str
    pooled: bool
    warning: str = ""
    label_in_blocks: str = ""

    @property
    def unit(self) -> str:
        """What a bootstrap draws, in words."""
        return "images" if self.facts.images else "blocks"

    @property
    def p_kind(self) -> str | None:
        """Refit where the fit is closed-form; elsewhere no p, unless the entry asks for re-scoring."""
        if self.closed_form:
            return "refit" if self.settings["permutations"] else None
        return "rescore" if self.settings["rescorings"] else None

    @property
    def closed_form(self) -> bool:
        """Whether the model's fit has no random part."""
        return bool(registry.facts(ModelFacts, "models", self.settings.plugin).closed_form)

    def test_data(self, result: ResultKey, data: Aligned, vertices: str) -> Tested:
        """Collect the test trials of one subject."""
        return Tested(result, data, *test_set(data, self.facts.images), vertices)

    def named(self, result: ResultKey) -> Row:
        """Columns that say of a table's rows which result they are of."""
        return {**asdict(result), "simulated": self.facts.simulated}

    def result_columns(self, result: ResultKey) -> Row:
        """Columns that all scores of a result share."""
        notes, all_settings = self.notes, {**self.notes.entry, **self.settings}
        code_digests = [*(source.code for source in notes.sources), notes.code, self.code]
        return {
            **asdict(result),
            "dataset_version": self.facts.version,
            "direction": all_settings["direction"],
            "transductive": notes.transductive,
            "protocol": all_settings["protocol"],
            "simulated": self.facts.simulated,
            "code_digest": digest(canonical(code_digests)),
            "config_digest": digest(canonical([*notes.configs, all_settings])),
            "data_digest": digest(canonical([source.data for source in notes.sources])),
        }
