"""The plug-in of Algonauts 2023 on made files in its layout: planted numbers come back; what cannot be is refused."""

import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from boldflow import catalogue, registry
from boldflow.artifacts.store import sidecars, tables
from boldflow.core.splits import assignment
from boldflow.datasets import algonauts2023
from boldflow.datasets.algonauts2023 import reading
from boldflow.provenance import canonical
from boldflow.stages.fetch import fetch_dataset, fetch_stimuli, fetch_subject
from boldflow.stages.responses import project_responses
from boldflow.stages.trials import list_trials, pack_stimuli
from tests.conftest import ROOT
from tests.made import algonauts as made_algonauts

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
SIDES = ("lh", "rh")
RECORDING = "betas-challenge"
IMAGES, FMRI, MASKS = ("training_split/training_images", "training_split/training_fmri", "roi_masks")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_algonauts.make(tmp_path_factory.mktemp("algonauts"))


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made.root, tmp_path / "copy")


def settings(folder, **more):
    entry = {"plugin": "algonauts2023", "folder": str(folder), "subjects": ["subj01", "subj02"]}
    entry |= {"simulated": True, "block": 5} | more
    return catalogue.settings({"datasets": {"made": entry}}, SCHEMAS, "datasets", "made")


def record(root, subject="subj01", **more):
    (betas,) = algonauts2023.betas(root, subject, settings(root, **more), RECORDING)
    return betas


def values(betas, chosen=None):
    chosen = np.ones(betas.shape[1], dtype=bool) if chosen is None else chosen
    read = np.full((betas.shape[0], chosen.sum()), np.nan, dtype=np.float32)
    for rows, columns, block in betas.blocks(chosen):
        assert np.isnan(read[rows, columns]).all()  # each once
        read[rows, columns] = block
    return read


@pytest.mark.parametrize("subject", ["subj01", "subj02"])
@pytest.mark.parametrize("rows", [2, 1000])
def test_planted_betas_come_back_left_then_right_under_the_names_of_their_pictures(made, monkeypatch, subject, rows):
    n_left, n_right = made_algonauts.N_VERTICES[subject]
    monkeypatch.setattr(reading, "BLOCK_BYTES", rows * 4 * n_left)
    betas = record(made.root, subject)
    planted = np.hstack([made.fmri[subject, side] for side in SIDES])
    assert (betas.session, betas.run, betas.unit) == (None, None, "z")
    assert list(betas.image_ids) == made.names[subject]
    np.testing.assert_array_equal(values(betas.betas), planted)
    chosen = np.random.default_rng(1).random(planted.shape[1]) < 0.3
    np.testing.assert_array_equal(values(betas.betas, chosen), planted[:, chosen])
    right_only = np.arange(planted.shape[1]) >= n_left
    np.testing.assert_array_equal(values(betas.betas, right_only), planted[:, right_only])
    assert betas.places["hemisphere"].tolist() == ["left"] * n_left + ["right"] * n_right
    assert betas.places["vertex"].tolist() == [*range(n_left), *range(n_right)]
    on_mesh = np.concatenate([made.places[subject, side] for side in SIDES])
    np.testing.assert_array_equal(betas.places["fsaverage_vertex"], on_mesh)


def test_regions_are_named_by_set_and_region_with_the_hemisphere_before_them(made):
    betas = record(made.root)
    for name, regions in made_algonauts.SETS.items():
        left, right = (made.masks["subj01", side, name] for side in SIDES)
        off = {"lh": np.zeros(len(left), bool), "rh": np.zeros(len(right), bool)}
        np.testing.assert_array_equal(betas.rois[name], np.concatenate([left, right]) > 0)
        np.testing.assert_array_equal(betas.rois[f"lh.{name}"], np.concatenate([left > 0, off["rh"]]))
        np.testing.assert_array_equal(betas.rois[f"rh.{name}"], np.concatenate([off["lh"], right > 0]))
        for number, region in enumerate(regions, 1):
            if region == "aTL-faces":  # in nobody
                assert not any("aTL-faces" in roi for roi in betas.rois)
                continue
            both = np.concatenate([left == number, right == number])
            np.testing.assert_array_equal(betas.rois[f"{name}-{region}"], both)
            np.testing.assert_array_equal(
                betas.rois[f"lh.{name}-{region}"], np.concatenate([left == number, off["rh"]])
            )
    halves = betas.rois["lh.prf-visualrois-V1v"] | betas.rois["lh.prf-visualrois-V1d"]
    np.testing.assert_array_equal(betas.rois["lh.prf-visualrois-V1"], halves)
    assert not any("Unknown" in name for name in betas.rois)
    chosen = record(made.root, regions=["streams"]).rois
    assert chosen and all("streams" in name for name in chosen)


@pytest.mark.parametrize("told", ["by folders", "by the table"])
def test_trials_are_rows_and_shared_pictures_test(made, told):
    more = {"stim_info": "stim_info.csv"} if told == "by the table" else {}
    parts = []
    for subject in ("subj01", "subj02"):
        table = algonauts2023.trials(made.root, subject, settings(made.root, **more))
        assert list(table["image_id"]) == made.names[subject] and table["usable"].all()
        assert ((table["test_sets"] == "shared-1000") == made.shared[subject]).all()
        assert list(table["trial"]) == [n % 5 + 1 for n in range(24)] and set(table["session"]) == {"01"}
        assert list(table["run"]) == [f"{n // 5 + 1:03d}" for n in range(24)]
        parts.append(table.assign(subject=subject))
    rows = pd.concat(parts)
    rule = catalogue.settings({"splits": {"s": {"test": "named", "names": "shared-1000"}}}, SCHEMAS, "splits", "s")
    shared = set(rows.loc[rows["test_sets"] != "", "image_id"])
    split = assignment.make_split(rows, {name: name for name in rows["image_id"]}, rule, "image", shared)
    merged = split.merge(rows, on=assignment.TRIAL)
    assert ((merged["part"] == "test") == merged["image_id"].isin(shared)).all()
    assert (merged["part"] == "train").sum() == 2 * made_algonauts.N_OWN


def test_a_table_tells_what_is_shared_where_only_one_subject_is_there(made, copy):
    shutil.rmtree(copy / "subj02")
    table = algonauts2023.trials(copy, "subj01", settings(copy, subjects=["subj01"], stim_info="stim_info.csv"))
    assert ((table["test_sets"] != "") == made.shared["subj01"]).all()


def test_shared_pictures_that_cannot_be_told_are_refused_with_the_key_to_set(made):
    """Measured data: 982 of subj01's pictures must be shared."""
    with pytest.raises(
        ValueError, match=r"subj01 shares 8 of 24 pictures .*published are 982: set datasets.made.stim_i"
    ):
        algonauts2023.trials(made.root, "subj01", settings(made.root, simulated=False))


def test_pictures_come_once_with_the_labels_of_the_users_tables(made):
    more = {"stim_info": str(made.root / "stim_info.csv"), "coco_categories": "categories.csv"}
    pictures = {picture.image_id: picture for picture in algonauts2023.stimuli(made.root, settings(made.root, **more))}
    assert sorted(pictures) == sorted(made.pictures)
    for name, picture in pictures.items():
        number = int(name[4:])
        np.testing.assert_array_equal(picture.pixels, made.pictures[name])
        held = made.categories[number]
        assert picture.labels == {
            "coco_id": str(made.coco[number]), "categories": "+".join(held) or "none",
            "person": "person" if "person" in held else "none",
        }  # fmt: skip
    assert {picture.labels["person"] for picture in pictures.values()} == {"person", "none"}
    assert all(not picture.labels for picture in algonauts2023.stimuli(made.root, settings(made.root)))


def test_categories_may_be_written_as_python_lists(made, copy):
    lines = [f'{n},"{found!r}"' for n, found in made.categories.items()]
    (copy / "categories.csv").write_text("\n".join(["nsdId,categories", *lines]) + "\n")
    found = algonauts2023.stimuli(copy, settings(copy, coco_categories="categories.csv"))
    assert {one.image_id: one.labels["categories"] for one in found} == {
        f"nsd-{n:05d}": "+".join(held) or "none" for n, held in made.categories.items()
    }


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("categories.csv", lambda s: s.replace("+person", "|person"), "'dining table|person' is no category of COCO"),
        (
            "categories.csv",
            lambda s: s.rsplit("\n", 2)[0] + "\n",
            "categories.csv lacks 1 of 40 pictures, the first is",
        ),
        (
            "categories.csv",
            lambda s: s.replace("nsdId", "id"),
            "no table with whole numbers in nsdId and texts in categ",
        ),
        ("categories.csv", lambda s: s + s.split("\n")[1] + "\n", "is there twice"),
        ("stim_info.csv", lambda s: s.replace("False", "maybe"), "is 'maybe', expected True or False"),
        ("stim_info.csv", lambda s: s.rsplit("\n", 2)[0] + "\n", "stim_info.csv lacks 1 of 24 pictures"),
    ],
)
def test_tables_of_the_users_that_are_not_as_they_should_be_are_refused(copy, file, change, words):
    path = copy / file
    path.write_text(change(path.read_text()))
    entry = settings(copy, **{"stim_info" if "stim" in file else "coco_categories": file})
    with pytest.raises(ValueError, match=re.escape(words)):
        if "stim" in file:
            for one in ("subj01", "subj02"):
                algonauts2023.trials(copy, one, entry)
        else:
            list(algonauts2023.stimuli(copy, entry))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{file} is not there"):
        algonauts2023.trials(copy, "subj01", entry) if "stim" in file else list(algonauts2023.stimuli(copy, entry))


def test_published_numbers_of_vertices_are_asked_for_unless_the_files_are_made(made, monkeypatch):
    with pytest.raises(ValueError, match=r"subj01 has 40 vertices on the left and 30 on the right, .*\(19004, 20544\)"):
        record(made.root, simulated=False)
    monkeypatch.setitem(reading.N_VERTICES, "subj01", (30, 40))
    with pytest.raises(ValueError, match="hemispheres exchanged"):
        record(made.root, simulated=False)
    monkeypatch.setitem(reading.N_VERTICES, "subj01", (40, 30))
    assert record(made.root, simulated=False).betas.shape == (24, 70)


def test_files_that_do_not_fit_each_other_are_refused(copy):
    subject = copy / "subj01"

    def fails(path, array, words):
        path = subject / path
        before = path.read_bytes()
        np.save(path, array) if isinstance(array, np.ndarray) else path.write_bytes(array(before))
        with pytest.raises(ValueError, match=words) as told:
            record(copy)
        assert path.name in str(told.value)
        path.write_bytes(before)

    fmri, mask = f"{FMRI}/rh_training_fmri.npy", f"{MASKS}/lh.floc-bodies_challenge_space.npy"
    fails(fmri, np.zeros((23, 30), np.float32), r"shape \(23, 30\), expected .* each of 24 pictures")
    fails(fmri, np.zeros((24, 30), np.int16), "is int16 of shape")
    fails(fmri, lambda content: content[:-50], r"\(\d+ bytes\)")
    fails(mask, np.zeros(39, np.int64), r"is of 39 vertices, the betas of subj01 \(lh\) of 40")
    fails(mask, np.full(40, 0.5), "is float64, expected whole numbers")
    fails(f"{MASKS}/rh.all-vertices_fsaverage_space.npy", np.ones(64, np.int64), "is of 64 vertices, .* of 30")
    (subject / mask).unlink()
    with pytest.raises(FileNotFoundError, match=r"lh\.floc-bodies"):
        record(copy)


def test_names_of_pictures_that_cannot_be_rows_are_refused(copy):
    images = copy / "subj01" / IMAGES
    files = sorted(images.iterdir())
    extra = images / "train-0025_nsd-99999.jpg.png"
    shutil.copy(files[0], extra)
    with pytest.raises(ValueError, match=r"train-0025_nsd-99999.jpg.png: expected a name such as"):
        record(copy)
    extra.rename(images / f"train-0025_{files[0].stem.split('_')[1]}.png")
    with pytest.raises(ValueError, match=r"train-0025.* is of the same picture as .*train-0001"):
        record(copy)
    (images / f"train-0025_{files[0].stem.split('_')[1]}.png").unlink()
    files[3].unlink()
    with pytest.raises(ValueError, match=r"train-0005.* is the 4th by name: .* is a file missing"):
        record(copy)
    shutil.rmtree(images)
    with pytest.raises(FileNotFoundError, match="training_images has no pictures"):
        algonauts2023.files_needed(copy, "dataset", settings(copy))


class Canary:
    """What would run if the mapping were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_a_mapping_with_code_is_refused_by_name_and_its_canary_is_untouched(copy, tmp_path):
    canary = tmp_path / "canary"
    content = {0: "Unknown", 1: Canary(canary)}
    np.save(copy / "subj01" / MASKS / "mapping_floc-bodies.npy", content, allow_pickle=True)
    with pytest.raises(ValueError, match=r"mapping_floc-bodies.npy .* is refused: .*system, which is code"):
        record(copy)
    assert not canary.exists()


def test_a_folder_that_is_not_named_or_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"datasets.algonauts2023.folder is not set"):
        algonauts2023.source({"name": "algonauts2023"}, tmp_path)
    with pytest.raises(FileNotFoundError, match=f"does not exist: {tmp_path}/nowhere"):
        algonauts2023.source(settings(tmp_path / "nowhere"), tmp_path)
    with pytest.raises(ValueError, match="no subject 'subj09'"):
        algonauts2023.files_needed(tmp_path, "subj09", settings(tmp_path))


@pytest.mark.parametrize("stage", [fetch_dataset, fetch_subject, fetch_stimuli])
def test_without_the_agreement_nothing_is_read(made, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def touched(*_, **__):
        raise AssertionError("the folder was looked into")

    for name in ("source", "files_needed", "trials", "betas"):
        monkeypatch.setattr(algonauts2023, name, touched)
    words = {name: "none" for name in stage.run.__annotations__ if name != "return"}
    told = words | {"settings": canonical(settings(made.root)), "places": "{}", "facts": "{}"}
    with pytest.raises(PermissionError, match=r"made: nothing was fetched.*https://forms.gle/"):
        stage.run(**{name: told[name] for name in words})
    assert not list(tmp_path.iterdir())


def test_the_stages_bring_the_layout_to_trials_pictures_and_responses(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = settings(made.root, stim_info="stim_info.csv", coco_categories="categories.csv")
    data, signed = canonical(entry), canonical({"agreement": {"name": "nobody", "date": "2026-01-01"}})
    facts = canonical(algonauts2023.FACTS | {"simulated": True})
    fetch_dataset.run("dataset.json", data, signed)
    fetch_stimuli.run("dataset.json", "stimuli.json", data, signed, facts)
    fetch_subject.run("dataset.json", "subject.json", "subj01", RECORDING, data, signed)
    assert {"stim_info.csv", "categories.csv"} < {row["path"] for row in sidecars.read("stimuli.json")["files"]}
    assert "stim_info.csv" in {row["path"] for row in sidecars.read("dataset.json")["files"]}
    list_trials.run("dataset.json", "trials.parquet", "subj01", data, "{}")
    pack_stimuli.run("dataset.json", "stimuli.json", "pack.h5", "pack.parquet", data, "{}")
    assert set(tables.read("pack.parquet")["label_person"]) == {"person", "none"}
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    response = catalogue.settings(config, SCHEMAS, "responses", "sae-floc-bodies-lh")
    project_responses.run(
        "dataset.json", "subject.json", "trials.parquet", [], [], "r.npy", "r.json", "v.parquet", "subj01", RECORDING,
        canonical(response), "{}", "{}", data, facts, "{}",
    )  # fmt: skip
    inside = made.masks["subj01", "lh", "floc-bodies"] > 0
    np.testing.assert_array_equal(np.load("r.npy"), made.fmri["subj01", "lh"][:, inside])
    rows = tables.read("v.parquet")
    assert set(rows["hemisphere"]) == {"left"} and list(rows["vertex"]) == list(np.flatnonzero(inside))
    assert sidecars.read("r.json")["units"] == "z-score as published"


def test_published_counts_are_what_it_costs():
    sizes = algonauts2023.sizes({"name": "algonauts2023"}, RECORDING)
    assert sizes.subjects["subj08"].n_trials == 8779 and sizes.subjects["subj06"].n_voxels == 18978 + 20220
    # NSD: 9,000 pictures for each subject alone, the shared ones that were given out; less what was held back
    assert sizes.n_images == sum(n - shared for n, shared in algonauts2023.N_IMAGES.values()) + 982 < 73_000
    assert {of_subject.fetch for of_subject in sizes.subjects.values()} == {0}


def test_pictures_that_are_not_whole_are_refused(copy):
    path = next((copy / "subj01" / IMAGES).iterdir())
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=rf"{path.name} \(60 bytes\) is no whole picture"):
        list(algonauts2023.stimuli(copy, settings(copy)))
