"""NSD's plug-in on made files in its layouts: planted numbers come back, and what cannot be is refused with a cause."""

import dataclasses
import fcntl
import io
import json

import h5py
import nibabel as nib
import numpy as np
import pytest
import scipy.io

from boldflow.artifacts.arrival import checks
from boldflow.artifacts.releases import nsd_files, nsd_tables, nsd_tree
from boldflow.datasets import nsd
from tests.made import nsd as made_nsd

SETTINGS = {
    "name": "nsd-tiny", "plugin": "nsd", "subjects": ["subj01", "subj02"], "mask": ["nsdgeneral"],
    "regions": list(made_nsd.SETS),
}  # fmt: skip
RESPONSES = "nsddata/ppdata/{}/behav/responses.tsv"


@pytest.fixture(scope="module")
def made():
    return made_nsd.make(n_sessions=3, per_session=24, n_vertices=42)


@pytest.fixture(scope="module")
def root(made, tmp_path_factory):
    return made.write(tmp_path_factory.mktemp("nsd"))


@pytest.fixture
def copy(made, tmp_path):
    return made.write(tmp_path / "copy")


def records(root, subject="subj01", recording="betas-hdf5", **settings):
    return [
        dataclasses.replace(one, betas=values(one.betas))
        for one in nsd.betas(root, subject, {**SETTINGS, **settings}, recording)
    ]


def values(betas):
    """Read all columns."""
    found = np.full(betas.shape, np.nan, dtype=np.float32)
    for trials, columns, block in betas.blocks(np.ones(betas.shape[1], dtype=bool)):
        found[trials, columns] = block
    return found


@pytest.mark.parametrize("subject", ["subj01", "subj02"])
@pytest.mark.parametrize("recording", ["betas-hdf5", "betas-nifti"])
def test_planted_betas_of_volumes_come_back_in_percent(made, root, subject, recording):
    found = records(root, subject, recording)
    assert [one.session for one in found] == ["01", "02", "03"]
    where = made.regions[subject, "nsdgeneral"] > 0
    for number, one in enumerate(found, 1):
        planted = made.volumes[subject, number]
        assert one.unit == "percent" and one.grid.shape == where.shape
        np.testing.assert_allclose(one.grid.affine, np.diag([1.8, 1.8, 1.8, 1.0]), rtol=1e-6)
        places = [tuple(place) for place in np.stack([one.places[axis] for axis in "ijk"], axis=1).tolist()]
        assert len(places) == where.sum() and all(where[place] for place in places)
        for column, place in enumerate(places):
            assert np.array_equal(one.betas[:, column], np.float32(planted[place]) / np.float32(300))


@pytest.mark.parametrize("subject", ["subj01", "subj02"])
def test_planted_betas_of_fsaverage_come_back_undivided_left_then_right(made, root, subject):
    for number, one in enumerate(records(root, subject, "betas-fsaverage"), 1):
        assert np.array_equal(one.betas, made.surfaces[subject, number].T)
        assert one.places["hemisphere"].tolist() == ["left"] * 42 + ["right"] * 42
        assert one.places["vertex"].tolist() == [*range(42), *range(42)]
        assert one.rois["streams-ventral"].tolist() == (made.regions["fsaverage", "streams"] == 5).tolist()
        assert "HCP_MMP1-V6" in one.rois and not any(name.startswith("floc") for name in one.rois)


def test_regions_of_volumes_have_the_names_of_their_tables_and_joined_areas(made, root):
    (one, *_) = records(root)
    inside = made.regions["subj01", "nsdgeneral"] > 0
    areas = made.regions["subj01", "prf-visualrois"][inside]
    assert np.array_equal(one.rois["prf-visualrois-V2d"], areas == 4)
    assert np.array_equal(one.rois["prf-visualrois-V2"], (areas == 3) | (areas == 4))
    assert np.array_equal(one.rois["prf-visualrois"], areas > 0)
    assert np.array_equal(one.rois["floc-faces-FFA-1"], made.regions["subj01", "floc-faces"][inside] == 2)
    assert one.rois["nsdgeneral"].all()


@pytest.mark.parametrize(("recording", "which"), [("betas-nifti", 0), ("betas-fsaverage", 1)])
def test_published_ceilings_are_the_share_of_variance_that_a_signal_of_that_ratio_has(made, root, recording, which):
    """A witness by simulation would be noisy: signal variance ncsnr^2 beside noise of 1, averaged over n."""
    (one, *_) = records(root, recording=recording)
    ncsnr = made.ncsnr["subj01"][which]
    ncsnr = ncsnr[made.regions["subj01", "nsdgeneral"] > 0] if which == 0 else ncsnr
    for n in (1, 3):
        wanted = [float(value) ** 2 / (float(value) ** 2 + 1.0 / n) for value in ncsnr]
        assert one.ceilings[f"nc_{n}"] == pytest.approx(wanted, rel=1e-5)


def test_trials_are_the_designs_with_behaviour_and_ids_of_the_brick(made, root):
    table = nsd.trials(root, "subj02", SETTINGS)
    assert table["image_id"].tolist() == [f"nsd-{row:05d}" for row in made.shown("subj02")]
    assert table["session"].tolist() == np.repeat(["01", "02", "03"], 24).tolist()
    assert table.groupby(["session", "run"]).size().eq(2).all() and table["run"].nunique() == 12
    assert table["onset_s"].tolist() == pytest.approx([0.0, 4.0] * 36, abs=2e-3)
    seen = set()
    for row in table.itertuples():
        assert row.behaviour_is_old == float(row.image_id in seen)
        seen.add(row.image_id)
    assert table["behaviour_is_missing"].sum() == table["behaviour_rt_ms"].isna().sum() > 0


def test_only_the_chosen_sessions_are_listed_needed_and_read(made, root):
    chosen = {**SETTINGS, "sessions": [2, 39]}
    table = nsd.trials(root, "subj01", chosen)
    assert set(table["session"]) == {"02"}
    assert table["image_id"].tolist() == [f"nsd-{row:05d}" for row in made.shown("subj01")[24:48]]
    (one,) = records(root, sessions=[2])
    assert np.array_equal(one.image_ids, table["image_id"])
    needed = nsd.files_needed(root, "subj01", {**SETTINGS, "sessions": [2]}, "betas-hdf5")
    assert [path for path in needed if "session" in path] == [nsd_tree.volume_betas("subj01", 2, "hdf5")]
    with pytest.raises(ValueError, match=r"subj04 has sessions 1 to 30, none of \[31\]"):
        nsd.files_needed(root, "subj04", {**SETTINGS, "sessions": [31]}, "betas-hdf5")


@pytest.mark.parametrize("recording", ["betas-hdf5", "betas-nifti", "betas-fsaverage"])
def test_every_file_that_is_needed_is_in_the_tree_and_among_the_made_ones(made, recording):
    settings = {**SETTINGS, "sessions": [1, 2, 3]}
    needed = {
        path
        for what in ("dataset", "stimuli", "subj01", "subj02")
        for path in nsd.files_needed("", what, settings, recording)
    }
    assert needed <= set(nsd_tree.paths())
    assert needed <= set(made.files)


def test_test_sets_are_shared_pictures_shown_three_times_within_the_first_sessions(made, root):
    table = nsd.trials(root, "subj01", SETTINGS)
    shared = [f"nsd-{row:05d}" for row in made.shared]
    assert sorted(set(table.loc[table["test_sets"].str.contains("shared-1000"), "image_id"])) == shared
    for name, share in (("shared-982", 37 / 40), ("shared-515", 30 / 40)):
        early = table.head(round(72 * share))["image_id"].value_counts()
        wanted = sorted(image for image in shared if early.get(image, 0) == 3)
        assert sorted(set(table.loc[table["test_sets"].str.contains(name), "image_id"])) == wanted


def test_a_published_order_must_give_the_published_counts():
    rng = np.random.default_rng(0)
    order = rng.permutation(np.repeat(np.arange(10000), 3))
    plan = nsd_tables.Design(order, np.tile(np.arange(10000), (8, 1)), np.arange(1000))
    with pytest.raises(ValueError, match=r"shared-982 has \d+ pictures by this design, published are 982"):
        nsd_tables.test_sets(plan)


def test_pictures_are_rows_of_the_brick_with_their_coco_ids(made, root, tmp_path):
    found = {one.image_id: one for one in nsd.stimuli(root, SETTINGS)}
    seen = sorted({*made.shown("subj01").tolist(), *made.shown("subj02").tolist()})
    assert list(found) == [f"nsd-{row:05d}" for row in seen]
    for row in seen:
        one = found[f"nsd-{row:05d}"]
        assert np.array_equal(one.pixels, made.brick[row])
        assert one.labels == {"coco_id": str(made.coco[row])}
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(made_nsd.instances(made)))
    for one, row in zip(nsd.stimuli(root, {**SETTINGS, "coco_instances": [str(path)]}), seen, strict=True):
        large = "dog" if row % 3 else "person"
        names = "+".join(sorted([large, "cup"] if row % 2 else [large]))
        assert one.labels["category"] == large and one.labels["categories"] == names
        assert one.labels["person"] == ("none" if row % 3 else "person")


def rewrite(root, subject, change):
    """Change the fields of a subject's behaviour, row by row."""
    path = root / RESPONSES.format(subject)
    head, *lines = path.read_text().splitlines()
    rows = change([line.split("\t") for line in lines])
    path.write_text("\n".join([head, *("\t".join(row) for row in rows)]) + "\n")


def off_by_one(rows):
    return [[*row[:4], str(int(row[4]) - 1), *row[5:]] for row in rows]


def shifted(rows):
    ids = [row[4:6] for row in rows]
    return [[*row[:4], *id_, *row[6:]] for row, id_ in zip(rows, [ids[-1], *ids[:-1]], strict=True)]


def sessions_swapped(rows):
    ids = [row[4:6] for row in rows]
    moved = [*ids[24:48], *ids[:24], *ids[48:]]
    return [[*row[:4], *id_, *row[6:]] for row, id_ in zip(rows, moved, strict=True)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (off_by_one, "73KID of 72 of 72 trials is not the design's .* all are off by -1: ids count from 1 here"),
        (shifted, "those of the trial before: rows are shifted by one"),
        (sessions_swapped, "73KID of 4. of 72 trials .*each session is there at another place: sessions were shuffled"),
        (lambda rows: [*rows[24:48], *rows[:24]], "line 26: session, run and trial are .*shuffled"),
        (lambda rows: [["2", *row[1:]] for row in rows], "line 2 is of subject 2, expected 1"),
    ],
)  # fmt: skip
def test_trials_that_are_not_the_designs_are_refused_with_the_likely_cause(copy, change, words):
    rewrite(copy, "subj01", change)
    with pytest.raises(ValueError, match=words):
        nsd.trials(copy, "subj01", SETTINGS)


def test_a_design_counted_from_zero_is_refused(made, copy):
    mat = io.BytesIO()
    content = {"masterordering": made.order[None], "subjectim": made.pictures + 1, "sharedix": made.shared[None] + 1}
    scipy.io.savemat(mat, content)
    (copy / nsd_tree.DESIGN).write_bytes(mat.getvalue())
    with pytest.raises(ValueError, match=r"masterordering runs from 0 to 23.*numbers begin at 1"):
        nsd.trials(copy, "subj01", SETTINGS)


@pytest.mark.parametrize("recording", ["betas-hdf5", "betas-nifti"])
def test_regions_of_another_grid_are_refused_with_both(made, copy, recording):
    other = made.files[nsd_tree.volume_regions("subj02", "nsdgeneral")]
    for name in made_nsd.SETS:
        (copy / nsd_tree.volume_regions("subj01", name)).write_bytes(other)
    (copy / nsd_tree.volume_ncsnr("subj01")).write_bytes(made.files[nsd_tree.volume_ncsnr("subj02")])
    with pytest.raises(ValueError, match=r"\(8, 9, 7\) voxels, the regions on one of \(7, 8, 9\).*another subject"):
        records(copy, recording=recording)
    (copy / nsd_tree.volume_regions("subj01", "streams")).write_bytes(
        made.files[nsd_tree.volume_regions("subj01", "streams")]
    )
    with pytest.raises(ValueError, match=r"lie on different grids: .*'streams': \(8, 9, 7\)"):
        records(copy, recording=recording)


def test_files_that_are_cut_short_are_refused_at_arrival_and_by_their_readers(copy):
    hdf5 = copy / nsd_tree.volume_betas("subj01", 1, "hdf5")
    left, right = (copy / path for path in nsd_tree.surface_betas("subj01", 1))
    for path in (hdf5, left, right):
        path.write_bytes(path.read_bytes()[:-700])
        assert checks.problem(path), path
    with pytest.raises(ValueError, match=rf"betas_session01.hdf5 \({hdf5.stat().st_size} bytes\) is no"):
        records(copy)
    with pytest.raises(ValueError, match=rf"betas_session01.mgh \({left.stat().st_size} bytes\) is no"):
        records(copy, recording="betas-fsaverage")
    brick = copy / nsd_tree.BRICK
    brick.write_bytes(brick.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"nsd_stimuli.hdf5 .* is not whole"):
        list(nsd.stimuli(copy, SETTINGS))


def test_a_file_that_is_locked_elsewhere_is_read(made, copy):
    path = copy / nsd_tree.volume_betas("subj01", 1, "hdf5")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            h5py.File(path, "r", locking=True)
        assert len(records(copy)) == 3
    with (copy / nsd_tree.BRICK).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert sum(1 for _ in nsd.stimuli(copy, SETTINGS)) > 0


def test_a_session_with_other_trials_than_betas_is_refused(made, copy):
    path = copy / nsd_tree.volume_betas("subj01", 2, "hdf5")
    with h5py.File(path, "w") as file:
        file.create_dataset("betas", data=made.volumes["subj01", 2].T[:-1])
    with pytest.raises(ValueError, match=r"betas_session02.hdf5 holds 23 betas, and the session has 24 trials"):
        records(copy)


def test_fractions_in_hdf5_are_no_betas_of_volumes(made, copy):
    path = copy / nsd_tree.volume_betas("subj01", 1, "hdf5")
    with h5py.File(path, "w") as file:
        file.create_dataset("betas", data=(made.volumes["subj01", 1].T / 300).astype(np.float32))
    with pytest.raises(ValueError, match="holds float32, expected whole numbers, 300 a percent"):
        records(copy)


def test_a_whole_mgh_passes_and_surfaces_keep_their_order(made, root):
    for path in nsd_tree.surface_betas("subj01", 1):
        assert checks.problem(root / path) == ""
        witness = nib.load(root / path).get_fdata()[:, 0, 0].T
        assert witness.shape == (24, 42)
    ncsnr = [nsd_files.surface_values(root / path) for path in nsd_tree.surface_ncsnr("subj01")]
    assert np.array_equal(np.concatenate(ncsnr), made.ncsnr["subj01"][1])


def test_sizes_are_told_for_the_chosen_sessions_without_any_file():
    whole, part = nsd.sizes(SETTINGS, "betas-hdf5"), nsd.sizes({**SETTINGS, "sessions": [1, 2]}, "betas-hdf5")
    assert whole.subjects["subj01"].fetch == pytest.approx(42e9, rel=0.01)
    assert part.subjects["subj01"].fetch == whole.subjects["subj01"].fetch // 20
    assert nsd.sizes(SETTINGS, "betas-fsaverage").subjects["subj01"].fetch == pytest.approx(40 * 0.983e9, rel=0.01)
    assert whole.stimuli == pytest.approx(39.6e9, rel=0.01)
    assert part.n_images == 3000
