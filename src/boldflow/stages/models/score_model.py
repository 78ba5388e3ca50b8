"""Scores of one model on its subject, or on each of several: intervals, chance, ceiling, and p by permutation."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from boldflow.artifacts.store import keyed, leaderboard, model_notes, tables
from boldflow.core.compute import fixed_threads
from boldflow.core.records.facts import DataFacts
from boldflow.core.scores import statistics
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.measures import BOOTSTRAP_SEED
from boldflow.core.scores.reconstruction import ReconstructionScorer, code_measures
from boldflow.core.scores.retrieval import N_NEAREST, RetrievalScorer
from boldflow.registry import plugin_of
from boldflow.settings import read_entry, read_facts
from boldflow.stages import _predictions
from boldflow.stages._aligned import Aligned, align_all, smallest_region
from boldflow.stages._predictions import Predictions
from boldflow.stages._result import read_result
from boldflow.stages.models._bands import COLUMNS as BANDS
from boldflow.stages.models._bands import map_columns, partition, region_rows
from boldflow.stages.models._codes import codes_of
from boldflow.stages.models._left_out import left_out_of
from boldflow.stages.models._null import runs_can_trade
from boldflow.stages.models._over_subjects import score_over_subjects
from boldflow.stages.models._score_rows import ScoreRows
from boldflow.stages.models._scorers import Scorer, as_scored, null_of, scorer_of
from boldflow.stages.models._tested import Row, Scoring, Tested
from boldflow.stages.models._vertex_tests import COLUMNS as VERTEX_TESTS
from boldflow.stages.models._vertex_tests import test_map
from boldflow.vocabulary.results import NONE, pooled_name

MAP = ["space", "hemisphere", "vertex", "r", "r2", "R2", "ceiling", "signal_var", "noise_var", "roi", *VERTEX_TESTS]
PLACES = [f"{what}_{n + 1}" for what in ("nearest", "score") for n in range(N_NEAREST)]
QUERIES = ["seed", "fold", "image_id", "rank", "gallery_size", *PLACES]


def run(
    predictions: str,
    predictions_index: str,
    weights: str,
    config: str,
    responses: list[str],
    vertices: list[str],
    features: str | list[str],
    index: str | list[str],
    trials: list[str],
    split: str,
    scores: str,
    draws: str,
    draws_index: str,
    vertex_map: str,
    queries: str,
    bands: str,
    subjects: str,
    names: str,
    settings: str,
    facts: str,
    n_draws: int,
    code: str,
) -> None:
    """Score predictions of the test trials, which are found by their keys.

    Parameters
    ----------
    responses, vertices, trials : paths to read, one of each per subject
    predictions, predictions_index, weights, config, features, index, split : paths to read; nothing for features and
        index where the model sees only responses
    scores : path of the Parquet to write, tidy rows, each with an ``id``. Of pooled subjects each has its own, with the
        model named as of ``pooled_name``; where pictures are retrieved the view ``subjects`` averages
        predictions of a picture over those who saw it
    draws : path of the .npy to write, (n_rows, n_draws) float32: each score in each bootstrap draw (its value where it
        has no interval); draw d holds the same pictures for every model of the subject
    draws_index : path of the Parquet to write: the id of the score that each row of the draws is of
    vertex_map : path of the Parquet to write: a row per vertex of encoders, with p, q, p_max and p_tfce
        (``stages.models._vertex_tests``); its sidecar says under ``vertex_tests``, by subject, how these were made
    queries : path of the Parquet to write: a row per test picture (retrieval)
    bands : path of the Parquet to write: a row per region and joined feature, what that explains (encoders that tell
        the bands of their inputs apart; columns as of ``stages.models._bands``)
    subjects : names of the subjects in the order of their files, JSON text
    names : wildcards of the result, JSON text
    settings : what the model's catalogue entry says of scoring (how it was trained is in ``config``), JSON text
    facts : facts of the data set's plug-in, JSON text
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage and the model's plug-in, JSON text
    """
    result, subject_names = read_result(names), json.loads(subjects)
    aligned = align_all(responses, features, index, trials, split, subject_names)
    if not responses:  # codes of features: nobody's, and without places
        subject_names, vertices = [NONE], [""]
    pooled = len(subject_names) > 1
    if pooled:
        result = replace(result, model=pooled_name(result.model))
    data_facts = read_facts(facts, DataFacts)
    notes = model_notes.read(config)
    split_note = tables.sidecar(split)
    label_in_blocks = str(split_note.get("label_in_blocks", ""))
    warning = _joined_remarks(split_note.get("temporal_leak"), *notes.remarks, _without_p(label_in_blocks, aligned))
    scoring = Scoring(notes, read_entry(settings), data_facts, weights, n_draws, code, pooled, warning, label_in_blocks)
    subject_files = zip(subject_names, aligned, vertices, strict=True)
    test_trials = [
        scoring.test_data(replace(result, subject=subject), data, vertices_path)
        for subject, data, vertices_path in subject_files
    ]
    predicted = _predictions.read(predictions, predictions_index, aligned)
    with fixed_threads(1):  # small products: two threads wait for each other more than they work
        scored_subjects = [_Scored.of(scoring, one_subject, predicted, k) for k, one_subject in enumerate(test_trials)]
        score_rows = [subject.scores for subject in scored_subjects]
        if pooled and isinstance(scored_subjects[0].scorer, RetrievalScorer):
            score_rows.append(score_over_subjects(scoring, test_trials, predicted, result))
    note = {"code": code, "data": score_rows[0].rows[0]["data_digest"], "units": {"value": "see metric"}}
    _write_scores(scores, draws, draws_index, score_rows, note)
    tests = dict(zip(subject_names, [subject.vertex_tests for subject in scored_subjects], strict=True))
    for name, path in {"vertex_map": vertex_map, "bands": bands, "queries": queries}.items():
        table_note = note | {"vertex_tests": tests} if name == "vertex_map" else note
        tables.write(path, _joined([getattr(subject, name) for subject in scored_subjects]), table_note)


def _joined_remarks(*remarks: object) -> str:
    return "; ".join(str(remark) for remark in remarks if remark)


def _without_p(label_in_blocks: str, aligned: Sequence[Aligned]) -> str:
    """Say why there is no p where a label comes in blocks and runs cannot trade it; nothing where they can."""
    if not label_in_blocks or all(map(runs_can_trade, aligned)):
        return ""
    return (
        f"no p: {label_in_blocks} comes in blocks within runs, and whole runs cannot trade labels (they differ in "
        "their number of trials, or pictures come again)"
    )


def _write_scores(scores: str, draws: str, draws_index: str, score_rows: Sequence[ScoreRows], note: Row) -> None:
    """Write the table of scores, and the draws with the id of the score that each is of."""
    table = leaderboard.tidy([row for subject_rows in score_rows for row in subject_rows.rows])
    all_draws = np.stack([score_draws for subject_rows in score_rows for score_draws in subject_rows.draws])
    keyed.write(draws, all_draws.astype(np.float32), draws_index, table[[leaderboard.ID]], may_be_undefined=True)
    tables.write(scores, table, note)


def _joined(subject_tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables of subjects below each other; those without rows have no say in the types of columns."""
    return pd.concat([table for table in subject_tables if len(table)] or subject_tables[:1], ignore_index=True)


@dataclass
class _Scored:
    """Scores of one subject, and the tables beside them; ``vertex_tests``: how those of the map were made."""

    scores: ScoreRows
    scorer: Scorer
    vertex_map: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=MAP))
    queries: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=QUERIES))
    bands: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=BANDS))
    vertex_tests: Row = field(default_factory=dict)

    @classmethod
    def of(cls, scoring: Scoring, test_data: Tested, predictions: Predictions, subject_number: int) -> "_Scored":
        """Score one subject's test trials, seed by seed; ``subject_number`` is its place in the predictions."""
        scorer = scorer_of(scoring, test_data)
        counts = statistics.bootstrap_counts(test_data.test.n_units, scoring.n_draws, BOOTSTRAP_SEED)
        n_pictures = len(np.unique(test_data.image_id)) if scoring.facts.images else test_data.test.n_images
        result_columns = scoring.result_columns(test_data.result)
        score_rows = ScoreRows(scoring, result_columns, test_data.test, counts, scoring.unit, n_pictures)
        subject_scores = cls(score_rows, scorer)
        query_tables: list[pd.DataFrame] = []
        band_tables: list[pd.DataFrame] = []
        for seed_number, seed in enumerate(scoring.notes.entry["seeds"]):
            predicted = as_scored(scorer, predictions.of(seed_number, subject_number), scoring.weights)
            measures = scorer.measure(predicted)
            if isinstance(scorer, RetrievalScorer):
                query_tables.append(_nearest(scorer, predicted, test_data.image_id).assign(seed=str(seed)))
            if isinstance(scorer, EncodingScorer):
                band_tables += subject_scores._map_vertices(scoring, test_data, predicted, seed)
            if isinstance(scorer, ReconstructionScorer):
                measures += _code_measures(scoring, test_data, seed)
            null = null_of(scoring, test_data, scorer, predicted, int(seed))
            if isinstance(scorer, EncodingScorer):
                subject_scores.vertex_map, subject_scores.vertex_tests = test_map(
                    subject_scores.vertex_map, scoring, null
                )
            null_scores = None if null is None else null.scores
            score_rows.add(measures, seed, null_scores, left_out_of(scoring, test_data, scorer, int(seed)))
        subject_scores.queries = (
            pd.concat(query_tables, ignore_index=True)[QUERIES] if query_tables else subject_scores.queries
        )
        subject_scores.bands = pd.concat(band_tables, ignore_index=True) if band_tables else subject_scores.bands
        return subject_scores._named(scoring.named(test_data.result))

    def _map_vertices(
        self, scoring: Scoring, test_data: Tested, predicted: np.ndarray, seed: int | str
    ) -> list[pd.DataFrame]:
        """Make the map of one seed's encoder, and give what each of joined features explains by region."""
        assert isinstance(self.scorer, EncodingScorer)
        self.vertex_map = _map(self.scorer, predicted, tables.read(test_data.vertices), scoring.notes.space)
        plugin = plugin_of("models", scoring.notes.entry)
        band_partition = partition(plugin, test_data.data, scoring.weights, seed, self.scorer, predicted)
        if band_partition is None:
            return []
        self.vertex_map = self.vertex_map.assign(**map_columns(band_partition, self.scorer))
        return [region_rows(band_partition, self.scorer, seed, scoring.unit)]

    def _named(self, columns: Row) -> "_Scored":
        """Say of all tables' rows which result they are of."""
        for name in ("vertex_map", "queries", "bands"):
            setattr(self, name, getattr(self, name).assign(**columns))
        return self


def _code_measures(scoring: Scoring, test_data: Tested, seed: int | str) -> list:
    plugin, data = plugin_of("models", scoring.notes.entry), test_data.data
    folds = range(data.n_folds)
    codes = [codes_of(plugin, data, scoring.weights, fold, seed, "test")[1] for fold in folds]
    return code_measures(codes, test_data.test)


def _nearest(scorer: RetrievalScorer, predicted: np.ndarray, image_id: np.ndarray) -> pd.DataFrame:
    """Give the rank and the best candidates of each query, by name."""
    rank, best_images, best_scores = scorer.nearest(predicted)
    image = scorer.test.views(predicted)[-1][2]
    nearest_ids = np.where(best_images >= 0, image_id[best_images], "")  # (n_queries, N_NEAREST)
    columns = {
        "fold": scorer.test.image_fold[image],
        "image_id": image_id[image],
        "rank": rank,
        "gallery_size": scorer.gallery_sizes[image],
    }
    return pd.DataFrame(columns | dict(zip(PLACES, [*nearest_ids.T, *best_scores.T], strict=True)))


def _map(scorer: EncodingScorer, predicted: np.ndarray, places: pd.DataFrame, space: str) -> pd.DataFrame:
    """Give a row per vertex."""
    r = scorer.correlation(predicted)
    on_surface = "hemisphere" in places
    return pd.DataFrame(
        {
            "space": space,
            "hemisphere": places["hemisphere"] if on_surface else "",
            "vertex": places["vertex"] if on_surface else np.arange(len(places)),
            "r": r,
            "r2": np.sign(r) * r**2,
            "R2": scorer.held_out_r2(predicted),
            "ceiling": scorer.ceiling,
            "signal_var": scorer.signal,
            "noise_var": scorer.noise,
            "roi": smallest_region(places),
        }
    )
