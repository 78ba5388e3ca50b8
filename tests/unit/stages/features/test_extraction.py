"""Rows of features over shards, batches and tries: the same, and none is made twice."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue
from boldflow.artifacts.store import arrays, sidecars, stimuli, tables, weights
from boldflow.artifacts.store.partial import Rows
from boldflow.core.networks.progress import Stopped
from boldflow.stages import _interruption
from boldflow.stages.features import _extraction, cache_features, extract_shard
from tests.conftest import ROOT
from tests.made.features import entry

N = 75  # more than two blocks


def plant(folder, n=N, sizes=((40, 52), (36, 36))):
    """A pack of random pictures of two sizes, and its table."""
    rng = np.random.default_rng(0)
    made = ((f"image-{k:05d}", rng.integers(0, 256, (*sizes[k % len(sizes)], 3), dtype=np.uint8), {}) for k in range(n))
    table = stimuli.write(folder / "stimuli.h5", made, lambda _: "")
    tables.write(folder / "stimuli.parquet", table, {"data": "d"})
    return table


def cache(folder, settings, name="features", parts=(), workers=2, code="{}"):
    cache_features.run(
        pack=str(folder / "stimuli.h5"),
        table=str(folder / "stimuli.parquet"),
        network=[],
        parts=[str(part) for part in parts],
        features=str(folder / f"{name}.npy"),
        index=str(folder / f"{name}.parquet"),
        sidecar=str(folder / f"{name}.json"),
        pictures=str(folder / f"{name}.pictures.json"),
        settings=json.dumps(settings),
        code=code,
        device="cpu",
        workers=workers,
    )
    return np.array(arrays.read(folder / f"{name}.npy"))


def shard(folder, settings, which):
    part = folder / f"x.shard-{which}.safetensors"
    extract_shard.run(
        pack=str(folder / "stimuli.h5"),
        table=str(folder / "stimuli.parquet"),
        network=[],
        part=str(part),
        shard=which,
        settings=json.dumps(settings),
        code="{}",
        device="cpu",
        workers=1,
    )
    return part


@pytest.mark.parametrize("plugin", ["gabor", "dinov2", "hf_vision"])
def test_one_three_and_seven_shards_give_the_same_bytes(tmp_path, plugin):
    plant(tmp_path)
    more = {"input": "direct", "size": 56} if plugin == "dinov2" else {}
    settings = entry(plugin, **more)
    whole = cache(tmp_path, settings, workers=1)
    assert len(whole) == N and whole.std(axis=0).max() > 0
    for n in (1, 3, 7):
        parts = [shard(tmp_path, settings, f"{k}-of-{n}") for k in range(n)]
        assert cache(tmp_path, settings, "gathered", parts).tobytes() == whole.tobytes()
        assert (tmp_path / "gathered.parquet").stat().st_size
    note, other = sidecars.read(tmp_path / "features.json"), sidecars.read(tmp_path / "gathered.json")
    assert note == other and note.get("untrained", False) == (plugin != "gabor")
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".rows")]


def test_more_shards_than_pictures_and_shards_of_another_cut(tmp_path):
    plant(tmp_path, n=3)
    settings = entry("gabor", size=16, scales=[2, 4])
    whole = cache(tmp_path, settings)
    parts = [shard(tmp_path, settings, f"{k}-of-5") for k in range(5)]
    np.testing.assert_array_equal(cache(tmp_path, settings, "gathered", parts), whole)
    with pytest.raises(ValueError, match=r"holds 0 rows of shard '0-of-5', expected 1 of '0-of-3'; make it again"):
        cache(tmp_path, settings, "gathered", parts[:3])
    assert [_extraction.share(10, f"{k}-of-3") for k in range(3)] == [slice(0, 3), slice(3, 6), slice(6, 10)]
    with pytest.raises(ValueError, match="numbered from 0-of-3 to 2-of-3"):
        _extraction.share(10, "3-of-3")


class Counting:
    """A feature that remembers which pictures it was shown, and breaks at one."""

    def __init__(self, breaks_at=None, ends_at=None):
        self.seen, self.breaks_at, self.ends_at = [], breaks_at, ends_at

    def extractor(self, settings, folder, device):
        return self

    def __call__(self, images):
        self.seen += [int(image.sum()) for image in images]
        if self.breaks_at is not None and len(self.seen) > self.breaks_at:
            raise MemoryError("broken")
        if self.ends_at is not None and len(self.seen) > self.ends_at:
            _interruption._asked = True
        return np.stack([[image.mean(), image.std()] for image in images]).astype(np.float32)


@pytest.fixture
def counting(monkeypatch):
    def use(plugin):
        monkeypatch.setattr(_extraction, "plugin_of", lambda *_: plugin)
        return plugin

    yield use
    _interruption._asked = False


def test_a_try_goes_on_from_the_rows_that_were_kept(tmp_path, counting, monkeypatch):
    monkeypatch.setattr("boldflow.artifacts.store.partial.EVERY_S", 0)
    monkeypatch.setattr(Rows.__init__, "__defaults__", (0,))
    plant(tmp_path)
    whole = counting(Counting())
    undisturbed = cache(tmp_path, entry("gabor"))
    first = counting(Counting(breaks_at=40))
    with pytest.raises(MemoryError):
        cache(tmp_path, entry("gabor"), "again")
    assert not (tmp_path / "again.npy").exists() and len(first.seen) == 64
    second = counting(Counting())
    assert cache(tmp_path, entry("gabor"), "again").tobytes() == undisturbed.tobytes()
    assert whole.seen == first.seen[:32] + second.seen  # 32 were kept, none of them was made again
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".rows")]


def test_a_job_that_is_asked_to_end_keeps_its_block(tmp_path, counting):
    plant(tmp_path)
    first = counting(Counting(ends_at=10))
    with pytest.raises(Stopped, match=f"asked to end; 32 of {N} rows are kept"):
        cache(tmp_path, entry("gabor"))
    _interruption._asked = False
    second = counting(Counting())
    cache(tmp_path, entry("gabor"))
    assert len(first.seen) == 32 and len(second.seen) == N - 32


def more_pictures(folder, names):
    """Pack pictures of these numbers, in this order; a picture of a number is always the same."""

    def picture(number):
        return np.random.default_rng(number).integers(0, 256, (40 + number % 3, 52, 3), dtype=np.uint8)

    table = stimuli.write(folder / "stimuli.h5", ((f"image-{k:05d}", picture(k), {}) for k in names), lambda _: "")
    tables.write(folder / "stimuli.parquet", table, {"data": str(len(names))})


@pytest.mark.parametrize("n_shards", [0, 3])
@pytest.mark.parametrize("plugin", ["gabor", "dinov2"])
def test_pictures_that_come_later_leave_the_rows_of_the_others(tmp_path, plugin, n_shards, monkeypatch):
    """New pictures stand before, between and behind the others; the witness is a folder that never saw fewer."""
    settings = entry(plugin, **({"input": "direct", "size": 56} if plugin == "dinov2" else {}))
    prepared = []
    real = _extraction._ahead

    def ahead(pack, parts, *more):
        prepared.extend(name for part in parts for name in part)
        return real(pack, parts, *more)

    monkeypatch.setattr(_extraction, "_ahead", ahead)

    def features(folder, names):
        folder.mkdir(exist_ok=True)
        more_pictures(folder, names)
        for path in folder.glob("x.*"):  # as Snakemake does before a job
            path.unlink()
        prepared.clear()
        parts = [shard(folder, settings, f"{k}-of-{n_shards}") for k in range(n_shards)]
        return cache(folder, settings, "x", parts)

    before, after = list(range(10, 60)), [3, *range(10, 30), 71, 70, *range(59, 29, -1), 80]
    first = features(tmp_path / "a", before)
    assert len(prepared) == len(before)
    second = features(tmp_path / "a", after)
    assert prepared == [f"image-{k:05d}" for k in (3, 71, 70, 80)]
    np.testing.assert_array_equal(second[[after.index(k) for k in before]], first)
    anew = features(tmp_path / "b", after)
    assert len(prepared) == len(after) and second.tobytes() == anew.tobytes()
    assert sidecars.read(tmp_path / "a/x.json") == sidecars.read(tmp_path / "b/x.json")
    features(tmp_path / "a", before[:7])
    assert not prepared and sorted(path.name for path in (tmp_path / "a/.described").iterdir()) == ["x"]


@pytest.mark.parametrize("change", ["settings", "code", "row", "cut", "list"])
def test_rows_of_other_settings_or_code_and_rows_that_have_changed_are_described_again(tmp_path, counting, change):
    more_pictures(tmp_path, range(20))
    counting(Counting())
    first = cache(tmp_path, entry("gabor"))
    kept = tmp_path / ".described/features"
    path = tmp_path / "features.npy"
    assert os.path.samefile(kept / "rows.npy", path)
    bytes_before = path.read_bytes()
    if change == "row":
        path.write_bytes(bytes_before[:-1] + bytes([bytes_before[-1] ^ 1]))
    if change == "cut":
        os.truncate(path, len(bytes_before) - 8)
    if change == "list":
        (kept / "pictures.json").write_text("{")
    settings = entry("gabor", grid=3) if change == "settings" else entry("gabor")
    again = counting(Counting())
    code = '{"m": "changed"}' if change == "code" else "{}"
    np.testing.assert_array_equal(cache(tmp_path, settings, code=code), first)
    assert len(again.seen) == (1 if change == "row" else 20)
    assert os.path.samefile(kept / "rows.npy", path)


@pytest.mark.parametrize("damage", ["ticket", "cut", "json"])
def test_rows_of_other_work_and_rows_that_are_not_whole_are_not_used(tmp_path, damage):
    rows = Rows(tmp_path / "r", "one", 5)
    rows.append(np.ones((3, 4), np.float32))
    rows.keep()
    assert Rows(tmp_path / "r", "one", 5).n_done == 3
    if damage == "cut":
        os.truncate(tmp_path / "r/rows.float32", 40)
    if damage == "json":
        (tmp_path / "r/progress.json").write_text('{"ticket": "one"')
    assert Rows(tmp_path / "r", "two" if damage == "ticket" else "one", 5).n_done == 0
    assert not (tmp_path / "r").exists()


def test_rows_that_do_not_fit_are_refused(tmp_path):
    rows = Rows(tmp_path / "r", "one", 5)
    rows.append(np.ones((3, 4), np.float32))
    for wrong in (np.ones((3, 4)), np.ones((1, 3))):
        with pytest.raises(ValueError, match="do not fit after 3 of 5 rows of 4"):
            rows.append(wrong)


def test_values_that_are_not_finite_and_pictures_that_break_are_named(tmp_path, counting):
    plant(tmp_path)

    def nan_at_third(images):
        rows = np.zeros((len(images), 2), np.float32)
        rows[3, 1] = np.nan
        return rows

    counting(SimpleNamespace(extractor=lambda *_: nan_at_third))
    with pytest.raises(ValueError, match="not finite for 1 of 32 pictures, the first is 'image-00003'"):
        cache(tmp_path, entry("gabor"))

    class Breaks(Counting):
        def prepare(self, image):
            raise OSError("no")

    counting(Breaks())
    with pytest.raises(OSError) as error:
        cache(tmp_path, entry("gabor"))
    assert error.value.__notes__ == ["while image 'image-00000' was prepared"]


def test_stimuli_without_pictures_are_refused_by_name(tmp_path):
    table = pd.concat([plant(tmp_path, 2), pd.DataFrame([{"image_id": "b", "height": 0, "width": 0, "offset": 0}])])
    tables.write(tmp_path / "stimuli.parquet", table, {"data": "d"})
    with pytest.raises(ValueError, match="1 have none, first 'b'"):
        cache(tmp_path, entry("gabor"))


def test_large_features_are_told_in_gigabytes(caplog):
    _extraction._warn_of_size(73_000, 256 * 1536)
    assert "take 114.8 GB on disk: 73000 rows of 393216 numbers" in caplog.text
    caplog.clear()
    _extraction._warn_of_size(5_000, 1536)
    assert not caplog.text


PROGRAM = """
import json, resource, sys
from boldflow.stages.features import cache_features
cache_features.run(pack="stimuli.h5", table="stimuli.parquet", network=[], parts=[], features="f.npy",
             index="f.parquet", sidecar="f.json", pictures="f.pictures.json", settings=sys.argv[1], code="{}",
             device="cpu", workers=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_ten_thousand_pictures_through_gabor_take_less_than_4_gb_and_show_their_progress(tmp_path):
    plant(tmp_path, 10_000, sizes=((32, 32),))
    settings = json.dumps(entry("gabor", size=16, scales=[1, 2, 4], grid=4))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, settings],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TQDM_MININTERVAL": "0.1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 4e9
    assert done.stderr.count("gabor:") > 5 and "10000/10000" in done.stderr
    assert arrays.read(tmp_path / "f.npy").shape == (10_000, 3 * 4 * 16)


def test_the_shards_file_says_what_it_is(tmp_path):
    plant(tmp_path, 5)
    part = shard(tmp_path, entry("gabor"), "1-of-2")
    note = weights.note(part)
    assert (note["shard"], note["device"]) == ("1-of-2", "cpu") and note["row_ticket"]
    assert weights.read(part)["rows"].shape == (3, 400)
    config = {
        "features": {"many": {"plugin": "gabor", "shards": 2}, "one": {"plugin": "gabor"}, "labels": {"shards": 3}}
    }
    assert catalogue.shards_of_feature(config, "many") == ["0-of-2", "1-of-2"]
    assert catalogue.shards_of_feature(config, "one") == catalogue.shards_of_feature(config, "labels") == []
