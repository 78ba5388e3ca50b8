"""Codes of features alone: pictures stand in trials' place, and no subject's responses are read."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue
from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.stages._aligned import align_all
from boldflow.stages.models import analyse_latents, score_model, train_model
from boldflow.stages.studies import match_units
from tests.made.features import SCHEMAS
from tests.made.keys import permuted, permuted_alone

N, N_TEST, SUBJECTS = 60, 20, ["sub-01", "sub-02"]
NAMES = {"dataset": "made", "subject": "none", "response": "none", "feature": "f", "model": "pca", "split": "s"}


@pytest.fixture
def made(tmp_path):
    """Two subjects saw the pictures in orders of their own, the test pictures twice; the last picture nobody saw."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N + 1, 9)) @ rng.normal(size=(9, 12))
    values[: N // 2, :6] += 6
    arrays.write(tmp_path / "f.npy", values.astype(np.float32))
    names = [f"{k:02d}.png" for k in range(N + 1)]
    tables.write(tmp_path / "index.parquet", pd.DataFrame({"image_id": names}))
    note = {"code": "", "data": "", "settings": {}, "kind": "embedding"}
    sidecars.write(tmp_path / "f.json", note)
    kind = np.where(np.arange(N + 1) < N // 2, "face", "house")
    tables.write(tmp_path / "stimuli.parquet", pd.DataFrame({"image_id": names, "label_kind": kind}))
    test = np.arange(N) % 3 == 0
    parts = []
    for subject in SUBJECTS:
        order = rng.permutation(np.concatenate([np.arange(N), np.flatnonzero(test)]))
        table = pd.DataFrame(
            {"subject": subject, "session": "01", "run": [f"{k // 20:02d}" for k in range(len(order))]}
        )
        table = table.assign(trial=np.arange(len(order)), image_id=[names[k] for k in order])
        tables.write(tmp_path / f"{subject}.parquet", table)
        part = np.where(test[order], "test", np.where(table["run"] == "01", "val", "train"))
        parts.append(table.drop(columns="image_id").assign(fold=0, unit=table["image_id"], part=part))
    tables.write(tmp_path / "split.parquet", pd.concat(parts, ignore_index=True), {"code": "", "data": "", "rule": {}})
    return tmp_path


def paths(made):
    return {
        "responses": [],
        "features": str(made / "f.npy"),
        "index": str(made / "index.parquet"),
        "trials": [str(made / f"{subject}.parquet") for subject in SUBJECTS],
        "split": str(made / "split.parquet"),
    }


def test_each_picture_that_was_seen_is_a_row_with_the_part_of_the_first_who_saw_it(made):
    (data,) = align_all(**paths(made), subjects=SUBJECTS)
    assert len(data.trials) == len(data.responses) == N
    np.testing.assert_array_equal(data.responses, arrays.read(made / "f.npy")[:N])
    tested = data.trials["image_id"].to_numpy()[data.rows(0, "test")]
    assert list(tested) == [f"{k:02d}.png" for k in range(0, N, 3)]
    first = tables.read(made / "split.parquet").query("subject == 'sub-01'").drop_duplicates("unit").set_index("unit")
    own = data.split.set_index("unit")["part"]
    assert (own == first["part"].loc[own.index]).all() and (own == "val").any()


def test_codes_of_features_are_trained_scored_and_asked(made):
    found = {name: str(made / name) for name in ("model.safetensors", "predictions.npy", "history.csv", "config.json")}
    entry = catalogue.settings({"models": {"pca": {"n_latents": 4}}}, SCHEMAS, "models", "pca")
    given = paths(made)
    train_model.run(
        **given,
        **{"responses_sidecar": [], "features_sidecar": str(made / "f.json"), "subjects": json.dumps(SUBJECTS)},
        **{"weights": found["model.safetensors"], "predictions": found["predictions.npy"], "code": "{}"},
        predictions_index=str(made / "predictions.parquet"),
        **{"history": found["history.csv"], "sidecar": found["config.json"], "settings": json.dumps(entry)},
        device="cpu",
    )
    common = {
        **{"weights": found["model.safetensors"], "predictions": found["predictions.npy"], "vertices": []},
        "predictions_index": str(made / "predictions.parquet"),
        **{"config": found["config.json"], "subjects": json.dumps(SUBJECTS), "names": json.dumps(NAMES)},
        **{"settings": json.dumps(entry)},
        **{"facts": json.dumps({"images": True, "simulated": True, "version": "1"}), "code": "{}"},
    }
    drawn = {"draws": str(made / "draws.npy"), "draws_index": str(made / "draws.parquet"), "n_draws": 20}
    out = {name: str(made / f"{name}.parquet") for name in ("scores", "vertex_map", "queries", "bands")}
    score_model.run(**given, **common, **out, **drawn)
    scores = tables.read(out["scores"])
    assert set(scores["subject"]) == set(scores["response"]) == {"none"} and set(scores["roi"].dropna()) == {"all"}
    assert 0.3 < scores[scores["metric"] == "R2"]["value"].iloc[0] < 1
    asked = {"label": "kind", "class": "face", "against": [], "permutations": 9, "penalty": 1.0}
    told = {name: str(made / f"{name}.parquet") for name in ("separation", "embedding", "units", "reconstruction")}
    analyse_latents.run(
        **given,
        **common,
        **told,
        stimuli=str(made / "stimuli.parquet"),
        codes=str(made / "codes.parquet"),
        latents_=json.dumps(asked),
    )
    auc = tables.read(told["separation"]).iloc[0]
    assert auc["value"] > 0.9 and auc["n_test"] == auc["n_test_images"] == N_TEST
    keys = tables.read(made / "predictions.parquet")
    assert set(keys["subject"]) == {"none"} and keys["image_id"].tolist() == [f"{k:02d}.png" for k in range(0, N, 3)]
    maps = tables.read(told["reconstruction"])
    permuted(made / "predictions.npy", made / "predictions.parquet", axis=1)
    score_model.run(**given, **common, **out, **drawn)
    pd.testing.assert_frame_equal(tables.read(out["scores"]), scores, check_exact=True)
    asking = {"stimuli": str(made / "stimuli.parquet"), "codes": str(made / "codes.parquet")}
    analyse_latents.run(**given, **common, **told, **asking, latents_=json.dumps(asked))
    pd.testing.assert_frame_equal(tables.read(told["reconstruction"]), maps, check_exact=True)
    permuted_alone(made / "predictions.npy", axis=1)
    with pytest.raises(ValueError, match=r"predictions\.parquet belongs to another state of .*predictions\.npy"):
        analyse_latents.run(**given, **common, **told, **asking, latents_=json.dumps(asked))


def coded(folder, name, images, code, dataset="made"):
    path = str(folder / f"{name}.parquet")
    tables.write(path, pd.DataFrame({"image_id": images, "code": list(code.astype(np.float32))}), {"simulated": True})
    return {**NAMES, "dataset": dataset, "subject": name}, path


def test_units_are_matched_between_codes_of_the_same_pictures_only(tmp_path):
    rng = np.random.default_rng(0)
    code, images = rng.normal(size=(30, 4)), [f"{k}.png" for k in range(30)]
    given = [
        coded(tmp_path, "sub-01", images, code),
        coded(tmp_path, "sub-02", images[:20][::-1], code[:20][::-1, [2, 0, 3, 1]]),
        coded(tmp_path, "sub-03", images, rng.normal(size=(30, 4)), dataset="other"),
    ]

    def run(chosen):
        names = {"results": [name for name, _ in chosen]}
        out = {"table": str(tmp_path / "matches.parquet"), "csv": str(tmp_path / "matches.csv"), "code": "{}"}
        asked = json.dumps({"permutations": 19, "match": ["pca"]})
        match_units.run(codes=[path for _, path in chosen], names=json.dumps(names), latents=asked, **out)
        return tables.read(tmp_path / "matches.parquet")

    found = run(given)
    assert set(found["subject_a"]) == {"sub-01"} and set(found["subject_b"]) == {"sub-02"} and len(found) == 4
    assert dict(zip(found["unit_b"], found["unit_a"], strict=True)) == {0: 2, 1: 0, 2: 3, 3: 1}
    np.testing.assert_allclose(found[["r", "held_out", "stability"]], 1, atol=1e-6)
    assert (found["p"] == 0.05).all() and found["simulated"].all() and (found["n_matching"] == 10).all()
    with pytest.raises(ValueError, match="no two of 2 codes"):
        run(given[1:])
