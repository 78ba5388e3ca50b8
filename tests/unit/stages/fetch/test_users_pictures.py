"""Pictures as people have them: hidden and linked ones, odd names and EXIF; right, or told by name when they arrive."""

import logging
import shutil
import struct
import subprocess
import unicodedata

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldflow import provenance
from boldflow.artifacts.arrival import annex_tree
from boldflow.artifacts.store import tables
from tests.made import own_folder


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    provenance.keep_to({})


def packed(config):
    own_folder.fetch(config)
    own_folder.fetch_pictures(config)
    _, table = own_folder.pack(config)
    shown = set(pd.read_parquet(own_folder.trials(config))["image_id"])
    rows = pd.read_parquet(table)
    assert set(rows["image_id"]) == shown
    return rows, tables.sidecar(table)


def refused(config, match):
    own_folder.fetch(config)
    with pytest.raises(ValueError, match=match):
        own_folder.fetch_pictures(config)


def test_hidden_files_and_what_systems_leave_are_no_pictures(tmp_path):
    stimuli = own_folder.make(tmp_path / "mine") / "stimuli"
    for name in (
        "._a.png",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "__MACOSX/._b.png",
        "@eaDir/a.png",
        ".trash/c.png",
    ):
        (stimuli / name).parent.mkdir(exist_ok=True)
        (stimuli / name).write_bytes(b"\x00\x05\x16\x07")
    rows, _ = packed(own_folder.entry(tmp_path / "mine"))
    assert len(rows) == 3


def test_a_clone_of_datalad_holds_each_picture_once(tmp_path):
    stimuli = own_folder.make(tmp_path / "mine") / "stimuli"
    annex_tree.prepare()
    for words in (["init", "-q"], ["annex", "init", "-q"], ["annex", "add", "-q", "."], ["commit", "-qm", "pictures"]):
        subprocess.run(["git", "-c", "annex.backend=MD5E", *words], cwd=stimuli, check=True, stdout=subprocess.DEVNULL)
    assert (stimuli / "a.png").is_symlink()
    rows, _ = packed(own_folder.entry(tmp_path / "mine"))
    assert len(rows) == 3
    subprocess.run(["git", "annex", "drop", "--force", "-q", "a.png"], cwd=stimuli, check=True)
    own_folder.fetch(own_folder.entry(tmp_path / "mine"))
    with pytest.raises(FileNotFoundError, match=r"by name only.* a.png; run: cd .*datalad get a.png"):
        own_folder.fetch_pictures(own_folder.entry(tmp_path / "mine"))


@pytest.mark.parametrize("link", ["folder", "root", "loop"])
def test_linked_folders_are_followed_and_loops_end(tmp_path, link):
    names = ("faces/a.png", "faces/b.png")
    stimuli = own_folder.make(tmp_path / "mine", names) / "stimuli"
    moved = stimuli / "faces" if link != "root" else stimuli
    if link == "loop":
        (moved / "again").symlink_to(stimuli)
    else:
        shutil.move(moved, tmp_path / "disk")
        moved.symlink_to(tmp_path / "disk")
    rows, _ = packed(own_folder.entry(tmp_path / "mine"))
    assert sorted(rows["image_id"]) == list(names)


@pytest.mark.parametrize(("on_disk", "in_events"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_names_are_compared_in_one_form(tmp_path, on_disk, in_events):
    mine = own_folder.make(tmp_path / "mine", (unicodedata.normalize(on_disk, "Café Å.png"), "b.png"))
    for events in mine.rglob("*_events.tsv"):
        events.write_text(unicodedata.normalize(in_events, unicodedata.normalize("NFC", events.read_text())))
    rows, _ = packed(own_folder.entry(mine))
    assert "Caf\u00e9 \u00c5.png" in set(rows["image_id"])


@pytest.mark.parametrize(
    ("name", "shown", "match"),
    [
        (
            "a.png",
            "stimuli/a.png",
            r"'stimuli/a.png': the nearest is 'a.png'(.|\n)*set stimuli_root to the folder above",
        ),
        ("3.png", "3.0", r"'3.0': the nearest is '3.png'"),
        ("faces/a.png", r"faces\a.png", r"the nearest is 'faces/a.png'"),
        ("a.PNG", "a.png", r"'a.png': the nearest is 'a.PNG'"),
        ("faces/a.png", "a.png", r"image_name: name would find 1 of them"),
        ("a.png", "a", r"image_name: stem would find 1 of them"),
        ("é.png", "e.png", r"the nearest is '\\xe9.png'"),
    ],
)
def test_names_that_do_not_match_are_told_with_the_nearest_when_they_arrive(tmp_path, name, shown, match):
    mine = own_folder.make(tmp_path / "mine", (name, "other picture.png"))
    for events in mine.rglob("*_events.tsv"):
        events.write_text(events.read_text().replace(name, shown).replace("other picture", "other picture"))
    refused(own_folder.entry(mine), rf"holds 2 pictures. The trials show 1 names that none(.|\n)*{match}")


def test_a_suffix_that_is_not_read_is_told(tmp_path):
    mine = own_folder.make(tmp_path / "mine")
    (mine / "stimuli/c.png").rename(mine / "stimuli/c.heic")
    for events in mine.rglob("*_events.tsv"):
        events.write_text(events.read_text().replace("c.png", "c.heic"))
    refused(
        own_folder.entry(mine),
        r"holds 2 pictures, and the trials of mine show 3 different ones(.|\n)*"
        r"'c.heic' is there, and .heic is not read(.|\n)*read are .bmp",
    )


def test_two_pictures_of_one_name_are_told_with_the_key(tmp_path):
    mine = own_folder.make(tmp_path / "mine", ("faces/1.png", "houses/1.png"))
    refused(own_folder.entry(mine, image_name="name"), r"two pictures '1.png': 'faces/1.png' and .*image_name to path")
    assert len(packed(own_folder.entry(mine))[0]) == 2


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_webp_and_gif_are_read(tmp_path, suffix):
    mine = own_folder.make(tmp_path / "mine")
    Image.fromarray(own_folder.picture(0)).save(mine / f"stimuli/a.{suffix}", lossless=True)
    (mine / "stimuli/a.png").unlink()
    for events in mine.rglob("*_events.tsv"):
        events.write_text(events.read_text().replace("a.png", f"a.{suffix}"))
    assert len(packed(own_folder.entry(mine))[0]) == 3


def ifd(*entries):
    """Raw EXIF of one directory: tag, type, count, and a value or the bytes of it."""
    at, head, data = 14 + 12 * len(entries), struct.pack("<2sHIH", b"II", 42, 8, len(entries)), b""
    for tag, kind, count, value in sorted(entries):
        number = at + len(data) if isinstance(value, bytes) else value
        head += struct.pack("<HHII", tag, kind, count, number)
        data += value if isinstance(value, bytes) else b""
    return b"Exif\0\0" + head + struct.pack("<I", 0) + data


@pytest.mark.parametrize(
    "odd",
    [
        (0x011A, 10, 1, struct.pack("<ii", -1, 0)),
        (0x011B, 5, 1, struct.pack("<II", 1, 0)),
        (0x9286, 3, 1, 5),
        (0x829A, 9, 3, struct.pack("<iii", -1, 2, 3)),
    ],
)
def test_an_odd_entry_of_exif_does_not_matter_to_the_turn(tmp_path, odd, caplog):
    mine = own_folder.make(tmp_path / "mine", ("a.jpg", "b.png", "c.png"))
    wide = np.repeat(own_folder.picture(0), 2, axis=1)  # (16, 32)
    Image.fromarray(wide).save(mine / "stimuli/a.jpg", exif=ifd((0x0112, 3, 1, 6), odd), quality=95)
    with caplog.at_level(logging.WARNING):
        rows, note = packed(own_folder.entry(mine))
    row = rows.set_index("image_id").loc["a.jpg"]
    assert (row["height"], row["width"]) == (32, 16) and note["turned"] == {"n": 1, "files": ["a.jpg"]}
    assert "1 pictures of mine carry a camera's orientation" in caplog.text
    refused(own_folder.entry(mine, turned_pictures="refused"), r"turned_pictures is refused; the first are \['a.jpg'\]")


def test_what_a_decoder_cannot_read_is_told_by_name_and_not_with_the_room_on_the_disk(tmp_path, monkeypatch):
    mine = own_folder.make(tmp_path / "mine")
    config = own_folder.entry(mine)
    own_folder.fetch(config)
    own_folder.fetch_pictures(config)
    for error in (struct.error("argument out of range"), ZeroDivisionError("x"), IndexError("y"), KeyError("z")):
        with monkeypatch.context() as patched:

            def convert(*_, error=error):
                raise error

            patched.setattr(Image.Image, "convert", convert)
            with pytest.raises(ValueError, match=r"a.png \(\d+ bytes\) is no whole picture") as caught:
                own_folder.pack(config)
            assert not getattr(caught.value, "__notes__", [])
