"""Scores of a leave-one-run-out study through the stages: intervals by refits without each run, chance, remarks."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import Ridge

from boldflow import catalogue
from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.core.records.test_sets import TestSet
from boldflow.stages import _aligned
from boldflow.stages._aligned import Aligned
from boldflow.stages.models import _null, score_model, train_model
from boldflow.stages.studies import collect_scores
from tests.made.features import SCHEMAS

N_RUNS, PER_RUN, N_FEATURES, N_VERTICES = 6, 10, 4, 5
N = N_RUNS * PER_RUN
ALPHA = 30.0
NOTE = {"code": "", "data": "", "settings": {}}
FACTS = {"images": True, "version": "made", "simulated": True}


@dataclass(frozen=True)
class Study:
    """Files of one subject: each picture is shown once, each run is left out in turn."""

    folder: Path
    features: np.ndarray
    responses: np.ndarray

    def path(self, name: str) -> str:
        return str(self.folder / name)

    @classmethod
    def make(cls, folder: Path, signal: float, **split_note: object) -> "Study":
        rng = np.random.default_rng(0)
        features = rng.normal(size=(N, N_FEATURES)).astype(np.float32)
        responses = signal * features @ rng.normal(size=(N_FEATURES, N_VERTICES)) + rng.normal(size=(N, N_VERTICES))
        study = cls(folder, features, responses.astype(np.float32))
        names = [f"image-{k:02d}" for k in range(N)]
        arrays.write(study.path("features.npy"), features)
        sidecars.write(study.path("features.json"), {**NOTE, "kind": "embedding"})
        tables.write(study.path("index.parquet"), pd.DataFrame({"image_id": names}))
        arrays.write(study.path("responses.npy"), study.responses)
        about = {"dataset": {}, "transductive": "run", "space": "native"}
        sidecars.write(study.path("responses.json"), NOTE | about)
        run = np.repeat(np.arange(N_RUNS), PER_RUN)
        trials = pd.DataFrame({"subject": "sub-01", "session": "1", "run": run.astype(str), "trial": np.arange(N)})
        tables.write(study.path("trials.parquet"), trials.assign(image_id=names))
        tables.write(study.path("vertices.parquet"), pd.DataFrame({"i": range(N_VERTICES)}))
        parts = [
            trials.assign(fold=fold, unit=names, part=np.where(run == fold, "test", "train")) for fold in range(N_RUNS)
        ]
        tables.write(
            study.path("split.parquet"), pd.concat(parts, ignore_index=True), {**NOTE, "rule": {}} | split_note
        )
        return study

    def score(self, model: str, **more: object) -> pd.DataFrame:
        plugin = model.partition("-")[0]
        entry = catalogue.settings({"models": {model: {"plugin": plugin, **more}}}, SCHEMAS, "models", model)
        shared = {
            "features": self.path("features.npy"),
            "index": self.path("index.parquet"),
            "split": self.path("split.parquet"),
            "subjects": '["sub-01"]',
            "settings": json.dumps(entry),
            "code": "{}",
        }
        made = self.folder / model
        made.mkdir()
        ends = {"weights": "model.safetensors", "predictions": "predictions.npy", "predictions_index": "p.parquet"}
        model_files = {name: str(made / end) for name, end in ends.items()}
        train_model.run(
            **shared,
            **model_files,
            responses=[self.path("responses.npy")],
            responses_sidecar=[self.path("responses.json")],
            features_sidecar=self.path("features.json"),
            trials=[self.path("trials.parquet")],
            history=str(made / "history.csv"),
            sidecar=str(made / "config.json"),
            device="cpu",
        )
        names = {"dataset": "made", "subject": "sub-01", "response": "bold", "feature": "f", "model": model}
        tables_made = {name: str(made / f"{name}.parquet") for name in ("scores", "vertex_map", "queries", "bands")}
        score_model.run(
            **shared,
            **model_files,
            **tables_made,
            config=str(made / "config.json"),
            responses=[self.path("responses.npy")],
            vertices=[self.path("vertices.parquet")],
            trials=[self.path("trials.parquet")],
            draws=str(made / "draws.npy"),
            draws_index=str(made / "draws.parquet"),
            names=json.dumps(names | {"split": "runs"}),
            facts=json.dumps(FACTS),
            n_draws=50,
        )
        return tables.read(tables_made["scores"])


ENCODE = {"direction": "encode", "alphas": [ALPHA], "permutations": 19}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study.make(tmp_path_factory.mktemp("folds"), 0.5)


@pytest.fixture(scope="module")
def encoder(study: Study) -> pd.Series:
    scores = study.score("ridge-encoder", **ENCODE)
    return scores.set_index("metric").loc["r"]


def predicted_without(study: Study, left: int | None) -> tuple[np.ndarray, np.ndarray]:
    """By scikit-learn: predictions of the runs that stay, each from the others that stay, and their runs."""
    run = np.repeat(np.arange(N_RUNS), PER_RUN)
    stay = [number for number in range(N_RUNS) if number != left]
    predictions = []
    for number in stay:
        inside = np.isin(run, [other for other in stay if other != number])
        x, y, new = study.features[inside], study.responses[inside], study.features[run == number]
        fitted = Ridge(alpha=ALPHA).fit((x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0))
        predictions.append(fitted.predict((new - x.mean(0)) / x.std(0)) * y.std(0) + y.mean(0))
    return np.concatenate(predictions), run[np.isin(run, stay)]


def mean_r(study: Study, left: int | None) -> float:
    predicted, run = predicted_without(study, left)
    measured = study.responses[np.repeat(np.arange(N_RUNS), PER_RUN) != left] if left is not None else study.responses
    about = [np.concatenate([z[run == k] - z[run == k].mean(axis=0) for k in np.unique(run)]) for z in
             (predicted, measured)]  # fmt: skip
    return float(np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(about[0].T, about[1].T, strict=True)]))


def test_an_interval_is_made_of_refits_without_each_run(study: Study, encoder: pd.Series):
    """Witness: scikit-learn's ridge, and a jackknife written out."""
    value, without = mean_r(study, None), np.arctanh([mean_r(study, run) for run in range(N_RUNS)])
    error = np.sqrt((N_RUNS - 1) / N_RUNS * ((without - without.mean()) ** 2).sum())
    ends = np.tanh(np.arctanh(value) + np.array([-1, 1]) * stats.t.ppf(0.975, N_RUNS - 1) * error)
    assert encoder["value"] == pytest.approx(value, abs=1e-5)
    assert (encoder["ci_low"], encoder["ci_high"]) == pytest.approx(tuple(ends), abs=1e-4)
    assert encoder["ci_method"] == "jackknife over folds, with refits" and encoder["inference"] == "refit"


def test_chance_of_r_is_where_refits_to_permuted_labels_lie(encoder: pd.Series):
    assert -0.1 < encoder["chance"] < 0.1 and encoder["chance"] != 0
    assert encoder["p_kind"] == "refit" and encoder["n_test_images"] == N


def test_a_model_that_is_not_refitted_has_no_interval_and_says_why(study: Study):
    scores = study.score("ridge-plain", **ENCODE | {"permutations": 0}).set_index("metric")
    assert scores["ci_low"].isna().all()
    assert "test pictures of one fold train another" in scores.loc["r", "remarks"]


def test_models_are_compared_by_their_refits_without_each_run(study: Study, encoder: pd.Series, tmp_path: Path):
    study.score("dummy", direction="encode", permutations=19)
    folders = [study.folder / name for name in ("ridge-encoder", "dummy")]
    files = [[str(folder / name) for folder in folders] for name in ("scores.parquet", "draws.npy", "draws.parquet")]
    out = [str(tmp_path / name) for name in ("board.parquet", "board.csv", "pairs.csv", "people.csv", "elsewhere.csv")]
    published = Path(__file__).parents[4] / "config/published.csv"
    about = json.dumps({"name": "made", "primary": {"metric": "r", "view": "image"}})
    collect_scores.run(*files, str(published), *out, about, "{}")
    pairs = pd.read_csv(out[2]).query("metric == 'r'")
    assert len(pairs) == 1
    # the dummy's r is 0 in each: the difference has the spread of the ridge's own refits
    without = np.array([mean_r(study, run) for run in range(N_RUNS)])
    error = np.sqrt((N_RUNS - 1) / N_RUNS * ((without - without.mean()) ** 2).sum())
    half_width = stats.t.ppf(0.975, N_RUNS - 1) * error
    row = pairs.iloc[0]
    assert abs(row["difference"]) == pytest.approx(encoder["value"], abs=1e-6)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * half_width, rel=1e-3)


def aligned(part: list[str], image: list[str], unit: list[str] | None = None) -> Aligned:
    n = len(part)
    trials = pd.DataFrame({"image_id": image, "session": "1", "run": "1", "picture": pd.factorize(np.array(image))[0]})
    split = pd.DataFrame({"fold": 0, "row": range(n), "part": part, "unit": unit or image})
    return Aligned(trials, np.zeros((n, 1)), np.zeros((n, 1)), split)


def test_a_picture_whose_first_presentation_is_unusable_trades_with_those_of_its_part():
    data = aligned(["drop", "train", "train", "test", "test"], ["a", "a", "b", "c", "d"])
    test = TestSet(np.zeros(2, int), np.arange(2), np.zeros(2, int), np.arange(2))
    image, first, within, _ = _null.exchangeable(data, test, np.array([3, 4]), "part")
    assert first.tolist() == [1, 2, 3, 4] and image.tolist() == [0, 0, 1, 2, 3]
    assert within[0] == within[1] != within[2] == within[3]


def test_what_one_subject_is_validated_on_trains_no_other():
    first = aligned(["train", "val", "test"], ["a", "b", "c"])
    second = aligned(["train", "train", "test"], ["b", "a", "c"])
    apart = _aligned._validated_apart([first, second])
    assert apart[0].split["part"].tolist() == ["train", "val", "test"]
    assert apart[1].split["part"].tolist() == ["drop", "train", "test"]


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_where_a_label_comes_in_blocks_whole_runs_trade_it(tmp_path: Path, direction: str) -> None:
    """The witness refits with scikit-learn, run by run; a decoder's null has the responses of other runs."""
    study = Study.make(tmp_path, 0.3, label_in_blocks="kind")
    scores = study.score("ridge", direction=direction, alphas=[ALPHA], permutations=19)
    metric = "r" if direction == "encode" else "feature_r"
    row = scores[(scores["metric"] == metric) & ((scores["roi"] == "all") | scores["roi"].isna())].iloc[0]
    assert row["n_permutations"] == 19 and row["p_kind"] == "refit" and "no p" not in row["remarks"]
    run = np.repeat(np.arange(N_RUNS), PER_RUN)
    nulls = []
    for permutation in range(19):
        runs = np.random.default_rng([0, permutation]).permutation(N_RUNS)
        rows = np.concatenate([np.flatnonzero(run == k) for k in runs])
        x, y = (
            (study.features[rows], study.responses)
            if direction == "encode"
            else (study.responses[rows], study.features)
        )
        predicted = np.empty_like(y)
        for k in range(N_RUNS):
            train = run != k
            sides = [(values - values[train].mean(axis=0)) / values[train].std(axis=0) for values in (x, y)]
            predicted[~train] = Ridge(alpha=ALPHA).fit(sides[0][train], sides[1][train]).predict(sides[0][~train])
            predicted[~train] = predicted[~train] * y[train].std(axis=0) + y[train].mean(axis=0)
        nulls.append(fold_r(y, predicted, run) if direction == "encode" else np.nan)
    if direction == "encode":
        assert row["null_sd"] == pytest.approx(np.std(nulls), rel=1e-3)
        assert row["chance"] == pytest.approx(np.mean(nulls), abs=1e-4)
        assert row["p"] == pytest.approx((1 + np.sum(np.array(nulls) >= row["value"])) / 20)


def fold_r(measured: np.ndarray, predicted: np.ndarray, run: np.ndarray) -> float:
    """Mean over vertices of r about the means of runs."""
    sides = [values - np.stack([values[run == k].mean(axis=0) for k in run]) for values in (measured, predicted)]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(sides[0].T, sides[1].T, strict=True)]))


def test_runs_that_cannot_trade_have_no_p_and_say_why(tmp_path: Path) -> None:
    study = Study.make(tmp_path, 0.3, label_in_blocks="kind")
    trials = tables.read(study.path("trials.parquet"))
    tables.write(study.path("trials.parquet"), trials.assign(run=["0"] * 11 + list(trials["run"][11:])))
    split = tables.read(study.path("split.parquet"))
    moved = split.assign(run=np.where(split["trial"] == 10, "0", split["run"]))
    moved = moved.assign(part=np.where(moved["run"].astype(int) == moved["fold"], "test", "train"))
    tables.write(study.path("split.parquet"), moved, {**NOTE, "rule": {}, "label_in_blocks": "kind"})
    scores = study.score("ridge-encoder", **ENCODE)
    assert scores["p"].isna().all() and scores["remarks"].str.contains("no p: kind comes in blocks").all()
