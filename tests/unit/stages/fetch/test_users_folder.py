"""Nothing changes unseen in a folder of the user's: parsing looks at what reading reaches, jobs keep to receipts."""

import os
import shutil

import pandas as pd
import pytest

from boldflow import catalogue, planning, provenance
from boldflow.stages.fetch._arrival import open_dataset
from tests.made import own_folder
from tests.made.features import SCHEMAS


class Wildcards(dict):
    """Wildcards as Snakemake hands them."""

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    provenance.keep_to({})


def looked_at(config, rule, **more):
    return planning.Parameters(config, SCHEMAS, None).files_reached(rule)(Wildcards(dataset="mine", **more))


def replaced(path):
    """Change a file as another run of a program would."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + b"\0")


@pytest.mark.parametrize("kind", ["inside", "linked", "linked subject", "outside", "above", "named [v2]"])
def test_what_changes_in_derivatives_is_looked_at_wherever_they_lie(tmp_path, kind):
    derivatives = {"outside": str(tmp_path / "scratch"), "above": "../.."}.get(kind, "derivatives/fmriprep")
    if kind == "named [v2]":
        derivatives = str(tmp_path / "prep [v2]")
    mine = own_folder.make(tmp_path / "prep/sourcedata/raw")
    inside = mine / "derivatives/fmriprep"
    if kind == "linked":
        shutil.move(inside, tmp_path / "disk")
        inside.symlink_to(tmp_path / "disk")
    elif kind == "linked subject":
        shutil.move(inside / "sub-01", tmp_path / "disk")
        (inside / "sub-01").symlink_to(tmp_path / "disk")
        (tmp_path / "disk/loop").symlink_to(inside)
    elif kind != "inside":
        shutil.copytree(inside, tmp_path / "prep" if kind == "above" else derivatives, dirs_exist_ok=True)
        shutil.rmtree(inside)
    config = own_folder.entry(mine, derivatives=derivatives)
    before = looked_at(config, "fetch_subject", subject="sub-01")
    own_folder.fetch(config)
    receipt = own_folder.fetch_bold(config)
    assert len(receipt["files"]) == 4
    first = tmp_path / receipt["root"] / receipt["files"][0]["path"]
    assert looked_at(config, "fetch_subject", subject="sub-01") == before
    open_dataset("resources/receipts/mine/dataset.json", "resources/receipts/mine/sub-01/bold.json")
    provenance.keep_to({})
    replaced(first)
    assert looked_at(config, "fetch_subject", subject="sub-01") != before
    with pytest.raises(ValueError, match=rf"{first.name} has changed since it arrived: .*-R fetch_subject"):
        open_dataset("resources/receipts/mine/dataset.json", "resources/receipts/mine/sub-01/bold.json")


def test_content_of_the_same_size_is_compared_and_a_time_alone_is_no_change(tmp_path):
    mine = own_folder.make(tmp_path / "mine")
    config = own_folder.entry(mine)
    own_folder.fetch(config)
    events = next(mine.rglob("*_events.tsv"))
    os.utime(events, ns=(1, 1))
    own_folder.trials(config)
    events.write_text(events.read_text().replace("0\t1\ta", "0\t1\tb", 1))
    with pytest.raises(ValueError, match=r"events.tsv has changed since it arrived: .*-R fetch_dataset"):
        own_folder.trials(config)


def test_a_large_file_is_read_again_where_its_time_or_inode_changed(tmp_path, monkeypatch):
    monkeypatch.setattr("boldflow.runs.checksums.LARGE", 10)
    mine = own_folder.make(tmp_path / "mine")
    config = own_folder.entry(mine)
    own_folder.fetch(config)
    own_folder.trials(config)
    events = next(mine.rglob("*_events.tsv"))
    info = events.stat()
    (mine / "new").write_text(events.read_text().replace("0\t1\ta", "0\t1\tb", 1))
    os.utime(mine / "new", ns=(info.st_atime_ns, info.st_mtime_ns))  # as rsync --times would leave it
    (mine / "new").replace(events)
    with pytest.raises(ValueError, match="has changed since it arrived: its content is another"):
        own_folder.trials(config)


def test_what_appeared_since_is_not_opened_and_is_looked_at_by_the_next_run(tmp_path):
    mine = own_folder.make(tmp_path / "mine")
    config = own_folder.entry(mine)
    own_folder.fetch(config)
    own_folder.fetch_pictures(config)
    before = looked_at(config, "fetch_dataset")
    events = next(mine.rglob("*run-2_events.tsv"))
    shutil.copy(events, str(events).replace("run-2", "run-3"))
    (mine / "stimuli/d.png").write_bytes((mine / "stimuli/a.png").read_bytes())
    assert set(pd.read_parquet(own_folder.trials(config))["run"]) == {"1", "2"}
    assert len(pd.read_parquet(own_folder.pack(config)[1])) == 3
    assert looked_at(config, "fetch_dataset") != before
    own_folder.fetch(config)
    assert set(pd.read_parquet(own_folder.trials(config))["run"]) == {"1", "2", "3"}


@pytest.mark.parametrize("plugin", ["nsd_flat", "algonauts2023"])
def test_every_data_set_in_a_folder_is_looked_at(tmp_path, plugin):
    """Their files are called otherwise than those of BIDS."""
    file = tmp_path / {"nsd_flat": "mine/a/x.parquet", "algonauts2023": "mine/subj01/roi_masks/lh.x.npy"}[plugin]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"1")
    config = {"datasets": {"mine": {"plugin": plugin, "folder": str(tmp_path / "mine"), "subjects": ["subj01"]}}}
    before = looked_at(config, "fetch_dataset")
    file.write_bytes(b"12")
    assert looked_at(config, "fetch_dataset") != before
    assert looked_at(config, "fetch_subject", subject="subj01")
    assert catalogue.patterns_reached(config, SCHEMAS, "mine", "make_split") == []


def test_a_folder_that_a_variable_names_is_looked_at(tmp_path, monkeypatch):
    (tmp_path / "data/haxby2001/sub001").mkdir(parents=True)
    config = {"datasets": {"mine": {"plugin": "haxby"}}}
    monkeypatch.delenv("BOLDFLOW_REAL_DATA", raising=False)
    unset = looked_at(config, "fetch_subject", subject="sub001")
    monkeypatch.setenv("BOLDFLOW_REAL_DATA", str(tmp_path / "data"))
    empty = looked_at(config, "fetch_subject", subject="sub001")
    (tmp_path / "data/haxby2001/sub001/labels.txt").write_text("1")
    assert looked_at(config, "fetch_subject", subject="sub001") not in (unset, empty)


def test_content_that_git_annex_left_out_is_refused_with_a_command_that_can_bring_it(tmp_path):
    mine = own_folder.make(tmp_path / "mine")
    config = own_folder.entry(mine)
    first, second = sorted(mine.rglob("*_events.tsv"))
    first.write_text("/annex/objects/MD5E-s10--0123456789abcdef0123456789abcdef.tsv\n")
    second.unlink()
    second.symlink_to("../../.git/annex/objects/aa/bb/x/x")
    with pytest.raises(FileNotFoundError, match=r"has 2 of 2 files by name only.*datalad get"):
        own_folder.fetch(config)
