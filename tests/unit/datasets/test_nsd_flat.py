"""NSD-Flat's plug-in on made files in its layout: planted numbers come back, and what cannot be is refused."""

import io
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from boldflow import catalogue
from boldflow.artifacts.releases import flat_maps
from boldflow.artifacts.store import arrays, tables
from boldflow.datasets import nsd_flat
from boldflow.provenance import canonical
from boldflow.stages.fetch import fetch_dataset, fetch_stimuli, fetch_subject
from boldflow.stages.responses import project_responses
from boldflow.stages.trials import list_trials, pack_stimuli
from tests.made.features import SCHEMAS

SHAPE, N_TRIALS, N_SESSIONS = (6, 5), 12, 2
STEP = 5 / 255
SETTINGS = {
    "name": "flat-tiny", "plugin": "nsd_flat", "mask": "data", "map_size": list(SHAPE), "simulated": True,
    "subjects": ["subj01", "subj03"],
}  # fmt: skip


def png(pixels):
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG")
    return target.getvalue()


class Made:
    """Rows of the published layout; ``maps`` are the planted z-scores, a mask of its own for each subject."""

    def __init__(self):
        rng = np.random.default_rng(10)
        self.masks, rows, maps = {}, [], []
        for subject in (0, 2):
            mask = rng.random(SHAPE) < 0.6
            self.masks[nsd_flat.FACTS["subjects"][subject]] = mask
            for session in range(N_SESSIONS):
                for n in range(N_TRIALS):
                    picture = 70 + (5 * n + subject) % 9
                    rows.append([subject, session, 750 * session + n, picture, 1000 + picture, picture % 3 == 0])
                    maps.append(np.where(mask, rng.normal(size=SHAPE), 0.0))
        self.table = pd.DataFrame(rows, columns=[*flat_maps.NUMBERS, "shared1000"])
        self.maps = np.array(maps)
        cut = np.clip(self.maps, -2.5, 2.5)
        self.stored = np.floor(255 * ((cut + 2.5) / 5)).astype(np.uint8)  # as generate_dataset.py rounds
        self.pictures = {number: rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for number in range(70, 79)}

    def columns(self):
        found = {name: self.table[name].to_list() for name in self.table}
        found["image"] = [png(self.pictures[number]) for number in self.table["nsd_id"]]
        found["activity"] = [png(one) for one in self.stored]
        found["objects"] = [
            {"area": [3, 9, 7], "category": ["cat", "person", "cat"]} if number == 72 else {"area": [], "category": []}
            for number in self.table["nsd_id"]
        ]
        return found

    def write(self, folder, as_struct=True, columns=None):
        columns = columns or self.columns()
        folder.mkdir(parents=True, exist_ok=True)
        if as_struct:
            columns |= {
                name: [one if one is None else {"bytes": one, "path": None} for one in columns[name]]
                for name in ("image", "activity")
                if name in columns
            }
        whole = pa.table(columns)
        last = (
            np.array(columns["session_id"]) == N_SESSIONS - 1 if "session_id" in columns else np.zeros(len(whole), bool)
        )
        for name, rows in (("train-00000-of-00001", ~last), ("test-00000-of-00001", last)):
            pq.write_table(whole.filter(pa.array(rows)), folder / f"{name}.parquet", row_group_size=7)
        return folder


@pytest.fixture(scope="module")
def made():
    return Made()


@pytest.fixture(scope="module")
def root(made, tmp_path_factory):
    return made.write(tmp_path_factory.mktemp("flat"))


def read(one, wanted=None):
    wanted = np.ones(one.betas.shape[1], dtype=bool) if wanted is None else wanted
    found = np.full((one.betas.shape[0], int(wanted.sum())), np.nan, dtype=np.float32)
    for rows, columns, values in one.betas.blocks(wanted):
        assert np.isnan(found[rows, columns]).all()  # each beta comes once
        found[rows, columns] = values
    return found


@pytest.mark.parametrize("as_struct", [True, False])
@pytest.mark.parametrize("batch", [5, 64])
def test_planted_maps_come_back_to_half_a_step_about_the_rounding_down(made, tmp_path, as_struct, batch, monkeypatch):
    monkeypatch.setattr(flat_maps, "BATCH", batch)
    folder = made.write(tmp_path, as_struct)
    for subject, number in (("subj01", 0), ("subj03", 2)):
        records = list(nsd_flat.betas(folder, subject, SETTINGS, "flat-maps"))
        assert [(one.session, one.run, one.unit) for one in records] == [("01", None, "z"), ("02", None, "z")]
        for session, one in enumerate(records):
            mine = (made.table["subject_id"] == number) & (made.table["session_id"] == session)
            places = one.places["row"], one.places["column"]
            assert np.array_equal(np.stack(places, axis=1), np.argwhere(made.masks[subject]))
            planted = np.clip(made.maps[mine], -2.5, 2.5)[:, places[0], places[1]]
            lost = planted - read(one)
            assert lost.min() > -1e-6 and lost.max() < STEP + 1e-6
            assert np.abs(lost - STEP / 2).max() <= STEP / 2 + 1e-6
            wanted = np.arange(one.betas.shape[1]) % 3 == 1
            assert np.array_equal(read(one, wanted), read(one)[:, wanted])
            assert one.image_ids.tolist() == [f"nsd-{n:05d}" for n in made.table.loc[mine, "nsd_id"]]


def test_a_step_down_is_read_as_the_users_of_the_files_read_it():
    stored = np.arange(256, dtype=np.uint8)
    assert np.allclose(flat_maps.z_scores(stored), stored / 255 * 5 - 2.5, atol=1e-6, rtol=0)


def test_trials_are_those_of_the_files_with_the_shared_pictures_as_a_test_set(made, root):
    found = nsd_flat.trials(root, "subj03", SETTINGS)
    mine = made.table[made.table["subject_id"] == 2]
    assert found["session"].tolist() == ["01"] * N_TRIALS + ["02"] * N_TRIALS
    assert found["trial"].tolist() == [*range(1, N_TRIALS + 1)] * 2
    assert (found.groupby("session")["onset_s"].diff().dropna() == 4).all()
    assert found["image_id"].tolist() == [f"nsd-{n:05d}" for n in mine["nsd_id"]]
    assert (found["test_sets"] == "shared-1000").tolist() == mine["shared1000"].tolist()
    assert set(nsd_flat.trials(root, "subj03", SETTINGS | {"sessions": [2]})["session"]) == {"02"}


def test_each_picture_comes_once_with_its_labels(made, root):
    found = {one.image_id: one for one in nsd_flat.stimuli(root, SETTINGS)}
    assert sorted(found) == [f"nsd-{n:05d}" for n in sorted(set(made.table["nsd_id"]))]
    for number, pixels in made.pictures.items():
        assert np.array_equal(found[f"nsd-{number:05d}"].pixels, pixels)
    told = {"category": "cat", "categories": "cat+person", "person": "person"}
    assert found["nsd-00072"].labels == {"coco_id": "1072", **told}
    assert found["nsd-00073"].labels["category"] == "none"


def test_files_without_objects_give_coco_numbers_alone(made, tmp_path):
    columns = made.columns()
    del columns["objects"]
    folder = made.write(tmp_path, columns=columns)
    assert {tuple(one.labels) for one in nsd_flat.stimuli(folder, SETTINGS)} == {("coco_id",)}


def test_a_mask_of_a_file_is_taken_as_it_is_and_is_one_of_the_files(made, tmp_path):
    folder, settings = made.write(tmp_path), SETTINGS | {"mask": "file"}
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1, 2:4] = True
    with pytest.raises(FileNotFoundError, match=r"no nsd_flat_mask\.npy.*correct folder"):
        nsd_flat.files_needed(folder, "subj01", settings)
    np.save(folder / "nsd_flat_mask.npy", mask)
    assert "nsd_flat_mask.npy" in nsd_flat.files_needed(folder, "subj01", settings)
    one = next(nsd_flat.betas(folder, "subj01", settings, "flat-maps"))
    stored = made.stored[(made.table["subject_id"] == 0) & (made.table["session_id"] == 0)][:, mask]
    assert np.array_equal(read(one), flat_maps.z_scores(stored))
    for wrong in (mask.T, mask.astype(float)):
        np.save(folder / "nsd_flat_mask.npy", wrong)
        with pytest.raises(ValueError, match=r"nsd_flat_mask.npy holds .* expected bool \(6, 5\)"):
            list(nsd_flat.betas(folder, "subj01", settings, "flat-maps"))


@pytest.mark.parametrize("name", ["subject_id", "activity", "shared1000"])
def test_missing_columns_are_named(made, tmp_path, name):
    columns = made.columns()
    del columns[name]
    folder = made.write(tmp_path, columns=columns)
    with pytest.raises(ValueError, match=rf"lacks columns \['{name}'\]; there are:"):
        nsd_flat.trials(folder, "subj01", SETTINGS)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("nsd_id", 73000, "nsd_id is 73000, expected 0 to 72999, as in 1 of 48 rows: numbers begin at 0"),
        ("nsd_id", -1, "nsd_id is -1, expected 0 to 72999"),
        ("subject_id", 8, "subject_id is 8, expected 0 to 7"),
        ("session_id", 40, "session_id is 40, expected 0 to 39"),
        ("trial_id", 750, "trial_id 750 of subject_id 0 is in session_id 0, and a session has 750 trials"),
        ("trial_id", 9, "trial_id 4 of subject_id 0 does not come after the one before it"),
        ("coco_id", 3, "coco_id of nsd_id .* differs between rows"),
    ],
)
def test_numbers_that_cannot_be_are_refused(made, tmp_path, name, value, words):
    columns = made.columns()
    columns[name][3] = value
    with pytest.raises(ValueError, match=words):
        nsd_flat.trials(made.write(tmp_path, columns=columns), "subj01", SETTINGS)


def test_a_subject_that_is_not_in_the_files_or_not_at_all_and_sessions_that_are_not(root):
    with pytest.raises(ValueError, match="subj02 has no rows in the files; there are: subj01, subj03"):
        nsd_flat.trials(root, "subj02", SETTINGS)
    with pytest.raises(ValueError, match="no subject 'subj09'"):
        nsd_flat.trials(root, "subj09", SETTINGS)
    with pytest.raises(ValueError, match=r"subj01 has sessions 1, 2 in the files, none of \[7\]"):
        nsd_flat.trials(root, "subj01", SETTINGS | {"sessions": [7]})


def test_maps_of_another_size_and_pictures_that_are_none_are_refused(made, root, tmp_path):
    with pytest.raises(ValueError, match=r"trial_id 0: the map is \(6, 5\) px .*expected \(215, 200\)"):
        list(nsd_flat.betas(root, "subj01", SETTINGS | {"map_size": [215, 200]}, "flat-maps"))
    for n, (value, words) in enumerate(
        [
            (b"no picture", "trial_id 3: 10 bytes are no whole picture"),
            (png(np.zeros((*SHAPE, 3), dtype=np.uint8)), "of mode RGB, expected L"),
            (None, "activity is not inside"),
        ]
    ):
        columns = made.columns()
        columns["activity"][3] = value
        with pytest.raises(ValueError, match=words):
            list(nsd_flat.betas(made.write(tmp_path / str(n), columns=columns), "subj01", SETTINGS, "flat-maps"))


def test_a_map_with_pixels_outside_the_rebuilt_mask_is_refused(made, tmp_path):
    columns = made.columns()
    other = made.stored[N_TRIALS].copy()
    other[tuple(np.argwhere(~made.masks["subj01"])[0])] = 200
    columns["activity"][N_TRIALS] = png(other)  # the first of session 2
    second = list(nsd_flat.betas(made.write(tmp_path, columns=columns), "subj01", SETTINGS, "flat-maps"))[1]
    with pytest.raises(ValueError, match="trial_id 750: 1 pixels are not 0 that are 0 in all maps"):
        read(second)


def test_two_downloads_in_one_folder_and_a_broken_file_are_refused(made, tmp_path):
    folder = made.write(tmp_path)
    path = folder / "train-00000-of-00001.parquet"
    (folder / "train-00000-of-00001-2ab.parquet").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="files of two downloads in the folder"):
        nsd_flat.trials(folder, "subj01", SETTINGS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="no whole Parquet"):
        nsd_flat.trials(folder, "subj01", SETTINGS)


def test_the_folder_must_be_there_and_hold_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder of data set flat-tiny does not exist"):
        nsd_flat.source(SETTINGS | {"folder": str(tmp_path / "none")}, tmp_path)
    with pytest.raises(FileNotFoundError, match="correct folder"):
        nsd_flat.files_needed(tmp_path, "dataset", SETTINGS)
    assert nsd_flat.source(SETTINGS | {"folder": str(tmp_path)}, tmp_path).kind == "folder"


def test_the_stages_take_the_maps_from_the_folder_to_responses_and_pack(made, root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {
        "datasets": {"flat-tiny": {"plugin": "nsd_flat", "folder": str(root), **SETTINGS}},
        "responses": {"flat-maps": {"kind": "betas", "recording": "flat-maps", "space": "native"}},
    }
    del config["datasets"]["flat-tiny"]["name"]
    entry = catalogue.settings(config, SCHEMAS, "datasets", "flat-tiny")
    facts = canonical(asdict(catalogue.dataset_facts(config, "flat-tiny")))
    words = {"settings": canonical(entry)}
    told = {**words, "code": "{}"}
    signed = canonical({"agreement": {"name": "nobody (made files)", "date": "2026-01-01"}})
    with pytest.raises(PermissionError, match=nsd_flat.FACTS["agreement"]):
        fetch_dataset.run("data.json", places="{}", **words)
    assert not list(tmp_path.iterdir())
    fetch_dataset.run("data.json", places=signed, **words)
    fetch_subject.run("data.json", "subject.json", "subj03", "flat-maps", places=signed, **words)
    fetch_stimuli.run("data.json", "stimuli.json", places=signed, facts=facts, **words)
    list_trials.run("data.json", "trials.parquet", "subj03", **told)
    pack_stimuli.run("data.json", "stimuli.json", "pack.h5", "pack.parquet", **told)
    project_responses.run(
        **{"source": "data.json", "receipt": "subject.json", "trials": "trials.parquet", "split": [], "hrf": []},
        **{"responses": "responses.npy", "sidecar": "responses.json", "vertices": "vertices.parquet"},
        **{"subject": "subj03", "recording": "flat-maps", "places": "{}", "regions": "{}", "code": "{}"},
        settings=canonical(catalogue.settings(config, SCHEMAS, "responses", "flat-maps")),
        dataset=canonical(entry),
        facts=facts,
    )
    mask = made.masks["subj03"]
    planted = flat_maps.z_scores(made.stored[made.table["subject_id"] == 2][:, mask])
    found = arrays.read("responses.npy")
    assert np.array_equal(np.squeeze(found), planted)
    vertices = tables.read("vertices.parquet")
    assert np.array_equal(vertices[["row", "column"]].to_numpy(), np.argwhere(mask))
    pack = tables.read("pack.parquet")
    assert sorted(pack["image_id"]) == [f"nsd-{n:05d}" for n in made.pictures]


def test_more_sessions_than_a_subject_has_and_too_few_maps_for_a_mask_are_refused(made, tmp_path, monkeypatch):
    columns = made.columns()
    columns["session_id"][-1], columns["trial_id"][-1] = 32, 32 * 750  # subj03 has 32 sessions, 0 to 31 here
    with pytest.raises(ValueError, match="subject_id 2 is in session_id 32, and that subject has fewer sessions"):
        nsd_flat.trials(made.write(tmp_path / "more", columns=columns), "subj03", SETTINGS)
    monkeypatch.setattr(nsd_flat, "LEAST", N_TRIALS + 1)
    with pytest.raises(ValueError, match="has 12 maps in the files, and a mask is rebuilt from 13 at least"):
        list(nsd_flat.betas(made.write(tmp_path / "few"), "subj03", SETTINGS, "flat-maps"))
