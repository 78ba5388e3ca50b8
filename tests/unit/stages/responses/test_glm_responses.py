"""Betas through the stage: against nilearn, and choices that know no test trial."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.core.records.runs import BoldRun
from boldflow.core.responses import hrf
from boldflow.stages.responses import _blup, _glm, project_responses
from tests.made.glm import far, lss_by_nilearn

TR_S, N_VOLUMES, N_RUNS, SLOT_S, SHAPE = 2.0, 70, 3, 5.0, (4, 3, 1)
ONSETS = 6 + SLOT_S * np.arange(22)
ENTRY = {
    "name": "glm", "kind": "glm", "space": "native", "start_s": 4.0, "duration_s": 6.0, "average": True,
    "rois": [], "max_masked": 0.5, "drift": "cosine",
}  # fmt: skip
CHOOSING = {"method": "lsa", "hrf": "table", "ridge": [0.0, 0.3, 3.0], "split": "made"}
PREDICTED = {"method": "blup"}
PLANTED = 5
IS_TEST = np.isin(np.arange(len(ONSETS)) % 6, [4, 5])


def bold(run, change):
    rng = np.random.default_rng([1, run])
    kernel = hrf.family(TR_S)[PLANTED]
    design = hrf.regressors(ONSETS, np.full(len(ONSETS), 2.0), N_VOLUMES, TR_S, kernel)
    signal = design @ rng.normal(1, 1, (len(ONSETS), int(np.prod(SHAPE))))
    values = 1000 + 10 * signal + rng.normal(size=signal.shape)
    change(run, values)
    return BoldRun(
        "01", f"{run:02d}", values.T.reshape(*SHAPE, -1), np.eye(4), np.ones(SHAPE, bool), {"header": TR_S}, "native"
    )


def made(folder, monkeypatch, change=lambda run, values: None, onsets=ONSETS, usable=True, table="", **entry):
    """Responses, vertices and sidecar of three runs."""
    folder.mkdir(exist_ok=True)
    runs = lambda *_: (bold(run, change) for run in range(N_RUNS))  # noqa: E731
    monkeypatch.setattr(project_responses, "plugin_of", lambda *_: SimpleNamespace(runs=runs, rois=lambda *_: {}))
    monkeypatch.setattr(project_responses, "open_dataset", lambda *_: folder)
    paths = {name: str(folder / name) for name in ("source.json", "trials.parquet", "split.parquet", "responses.npy")}
    sidecars.write(paths["source.json"], {"files": []})
    trial = np.tile(np.arange(len(onsets)), N_RUNS)
    rows = pd.DataFrame({"session": "01", "run": [f"{k:02d}" for k in np.repeat(np.arange(N_RUNS), len(onsets))]})
    rows = rows.assign(trial=trial + 1, onset_s=np.asarray(onsets)[trial], duration_s=2.0, usable=usable)
    rows = rows.assign(subject="sub-01", image_id=[f"i{k}" for k in range(len(rows))])
    tables.write(paths["trials.parquet"], rows)
    part = np.where(IS_TEST[trial % len(IS_TEST)], "test", "train")
    split = rows[["subject", "session", "run", "trial"]].assign(fold=0, unit="", part=part)
    tables.write(paths["split.parquet"], split)
    project_responses.run(
        source=paths["source.json"],
        receipt=paths["source.json"],
        trials=paths["trials.parquet"],
        split=[paths["split.parquet"]] if "split" in entry else [],
        hrf=[table] if table else [],
        responses=paths["responses.npy"],
        sidecar=str(folder / "responses.json"),
        vertices=str(folder / "vertices.parquet"),
        subject="sub-01",
        recording="bold",
        settings=json.dumps(ENTRY | {"method": "lss"} | entry),
        places="{}",
        regions="{}",
        dataset="{}",
        facts=json.dumps({"tr_s": TR_S}),
        code="{}",
    )
    read = tables.read(folder / "vertices.parquet"), sidecars.read(folder / "responses.json")
    return np.array(arrays.read(paths["responses.npy"])), *read


@pytest.mark.filterwarnings("ignore")
def test_betas_are_nilearns_in_standard_deviations_of_their_run(tmp_path, monkeypatch):
    found, _, note = made(tmp_path, monkeypatch)
    assert found.shape == (N_RUNS * len(ONSETS), 12) and note["transductive"] == "run"
    values = bold(1, lambda run, values: None).bold.reshape(-1, N_VOLUMES).T
    wanted = lss_by_nilearn(ONSETS, np.full(len(ONSETS), 2.0), np.empty((N_VOLUMES, 0)), values)
    # a ratio of standard deviations is left: the same for all trials of a vertex
    here = found[len(ONSETS) : 2 * len(ONSETS)]
    scale = (here * wanted).sum(axis=0) / (wanted**2).sum(axis=0)
    assert far(here, wanted * scale) < 1e-5 and (scale > 0).all()
    assert note["glm"]["method"] == "lss" and note["glm"]["high_pass_hz"] == 0.01


def in_windows(run, values):
    """Nonsense in the windows of test trials."""
    rng = np.random.default_rng(9)
    for onset in ONSETS[IS_TEST]:
        first = round((onset + 4.0) / TR_S)
        values[first : first + 3] = 1e4 * rng.normal(size=values[first : first + 3].shape)


def in_a_training_window(run, values):
    values[round((ONSETS[1] + 4.0) / TR_S)] += 50 * np.random.default_rng(8).normal(size=values.shape[1])


def library_in(folder):
    """A table of the library's responses."""
    table = folder / "library.tsv"
    np.savetxt(table, np.stack(hrf.family(TR_S), axis=1), delimiter="\t")
    return str(table)


@pytest.mark.parametrize("entry", [CHOOSING, {"method": "lss", "hrf": "table", "split": "made"}])
def test_choices_of_response_and_ridge_know_no_test_trial(tmp_path, monkeypatch, entry):
    """A canary: nonsense in the windows of test trials changes betas and no choice; in a training window it does."""
    entry = entry | {"hrf_step_s": TR_S / hrf.OVERSAMPLING, "table": library_in(tmp_path)}
    one, was, note = made(tmp_path / "one", monkeypatch, **entry)
    other, now, _ = made(tmp_path / "other", monkeypatch, in_windows, **entry)
    chosen = [name for name in ("hrf", "ridge_penalty") if name in was]
    assert chosen[0] == "hrf" and ("ridge_penalty" in chosen) == ("ridge" in entry)
    pd.testing.assert_frame_equal(was[chosen], now[chosen], check_exact=True)
    assert (one != other).any(axis=1).all()
    assert 0 < note["glm"]["choices"]["volumes"] < note["glm"]["choices"]["of_volumes"]
    assert (was["hrf"] == PLANTED).mean() > 0.5
    _, changed, _ = made(tmp_path / "sings", monkeypatch, in_a_training_window, **entry)
    assert not was[chosen].equals(changed[chosen])


def test_what_predicted_betas_go_by_knows_no_test_trial_where_the_split_is_named(tmp_path, monkeypatch):
    """The same canary; without a split, label-free choices see all volumes, and the sidecar says so."""
    strict = PREDICTED | {"split": "made"}
    one, was, note = made(tmp_path / "one", monkeypatch, **strict)
    other, now, noted = made(tmp_path / "other", monkeypatch, in_windows, **strict)
    chosen = ["hrf", "variance_ratio"]
    pd.testing.assert_frame_equal(was[chosen], now[chosen], check_exact=True)
    assert note["glm"]["choices"] == noted["glm"]["choices"] and (one != other).any(axis=1).all()
    assert note["transductive"] == "run" and note["glm"]["choices"]["sees"].startswith("volumes outside the windows")
    assert 0 < note["glm"]["choices"]["volumes"] < note["glm"]["choices"]["of_volumes"]
    assert (was["hrf"] == PLANTED).mean() > 0.5 and note["glm"]["n_hrfs"] == 18
    _, changed, _ = made(tmp_path / "sings", monkeypatch, in_a_training_window, **strict)
    assert not was[chosen].equals(changed[chosen])
    _, free, all_seen = made(tmp_path / "free", monkeypatch, **PREDICTED)
    assert all_seen["transductive"] == "subject" and all_seen["glm"]["choices"]["sees"] == "all volumes of the subject"
    assert not was[chosen].equals(free[chosen])


def test_predicted_betas_follow_what_was_put_in_also_beside_trials_that_are_not_usable(tmp_path, monkeypatch):
    usable = np.tile(np.arange(len(ONSETS)) % 7 != 3, N_RUNS)

    def change(run, values):
        values[:, 2] = 7.0
        values[4, 5] = np.nan if run == 1 else values[4, 5]

    predicted, vertices, note = made(tmp_path / "blup", monkeypatch, change, usable=usable, **PREDICTED)
    plain, _, _ = made(tmp_path / "lsa", monkeypatch, change, usable=usable, method="lsa")
    assert predicted.shape[1] == 10 and list(note["masked"].values()) == [1, 1] and len(vertices) == 10
    assert (predicted[~usable] == 0).all() and np.isfinite(predicted).all()
    amplitudes = [np.random.default_rng([1, run]).normal(1, 1, (len(ONSETS), 12)) for run in range(N_RUNS)]
    truth = np.delete(np.concatenate(amplitudes), [2, 5], axis=1)[usable]

    def follows(betas):
        return np.mean([np.corrcoef(betas[usable][:, v], truth[:, v])[0, 1] for v in range(10)])

    assert follows(predicted) > 0.93 > 0.6 > follows(plain)


def test_predicted_betas_need_volumes_that_may_be_seen_and_take_a_response_that_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(_glm, "SPARE", 50)
    monkeypatch.setattr(_blup, "SPARE", 50)
    with pytest.raises(ValueError, match=r"sub-01: no run has 50 volumes, .* shorter window"):
        made(tmp_path / "none", monkeypatch, **PREDICTED, split="made", duration_s=12.0)
    few, _, note = made(tmp_path / "canonical", monkeypatch, **PREDICTED, hrf="canonical")
    assert np.isfinite(few).all() and note["glm"]["n_hrfs"] == 1 and note["glm"]["choices"]["runs_without"] == []


def test_bad_vertices_are_masked_by_kind_and_a_table_of_ones_own_is_read(tmp_path, monkeypatch):
    def change(run, values):
        values[:, 2] = 7.0
        values[4, 5] = np.nan if run == 1 else values[4, 5]

    table = tmp_path / "own.tsv"
    samples = hrf.double_gamma(TR_S, 6.0, 1.0)  # every 0.04 s
    table.write_text("\n".join(f"{one:.12g}\t{one:.12g}" for one in samples))
    entry = {"hrf": "table", "hrf_step_s": TR_S / hrf.OVERSAMPLING, "split": "made"}
    found, _, note = made(tmp_path / "own", monkeypatch, change, table=str(table), **entry)
    assert found.shape[1] == 10 and list(note["masked"].values()) == [1, 1]
    plain, _, _ = made(tmp_path / "plain", monkeypatch, change)
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-4)
    table.write_text("1 2\n3 x\n")
    with pytest.raises(ValueError, match=r"own.tsv, line 2: .*'x'"):
        made(tmp_path / "own", monkeypatch, change, table=str(table), **entry)


def test_responses_cut_by_the_end_of_a_run_are_counted_and_those_outside_are_refused(tmp_path, monkeypatch):
    late = np.append(ONSETS[:-1], TR_S * N_VOLUMES - 7)
    _, _, note = made(tmp_path / "late", monkeypatch, onsets=late)
    assert note["glm"]["n_cut_trials"] >= N_RUNS
    beyond = np.append(ONSETS[:-1], TR_S * N_VOLUMES - 1)
    words = r"sub-01, session 01, run 00: 1 trials have next to no response in the run, the first is trial 22 at 139 s"
    with pytest.raises(ValueError, match=words):
        made(tmp_path / "beyond", monkeypatch, onsets=beyond)
    one, _, _ = made(tmp_path / "alone", monkeypatch, onsets=ONSETS[:1])
    assert one.shape == (N_RUNS, 12) and np.isfinite(one).all()


def test_trials_that_are_not_usable_stand_in_the_design_and_get_no_beta(tmp_path, monkeypatch):
    usable = np.tile(np.arange(len(ONSETS)) % 7 != 3, N_RUNS)
    found, _, _ = made(tmp_path, monkeypatch, usable=usable)
    assert (found[~usable] == 0).all() and (found[usable] != 0).any(axis=1).all()
