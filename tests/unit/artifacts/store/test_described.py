"""Rows of an earlier job: taken by the picture they show, gone with their ticket, and never worth a failure."""

import os

import numpy as np

from boldflow.artifacts.store import arrays
from boldflow.artifacts.store.described import Described

NAMES = ["a", "b", "c"]
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)


def kept(folder, ticket="t"):
    arrays.write(folder / "f.npy", VALUES)
    Described(folder / "rows", ticket).keep(folder / "f.npy", NAMES, 4)
    (folder / "f.npy").unlink()  # as Snakemake does before a job


def test_rows_are_taken_by_their_pictures_when_the_file_is_gone(tmp_path):
    kept(tmp_path)
    described = Described(tmp_path / "rows", "t")
    places = described.places(["c", "x", "a"])
    assert places.tolist() == [2, -1, 0] and described.batch == 4
    np.testing.assert_array_equal(described.rows(places[[0, 2]]), VALUES[[2, 0]])


def test_rows_of_another_ticket_are_removed(tmp_path):
    kept(tmp_path)
    assert Described(tmp_path / "rows", "other").places(NAMES).tolist() == [-1, -1, -1]
    assert not (tmp_path / "rows").exists()


def test_without_hard_links_nothing_is_kept_and_nothing_fails(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    kept(tmp_path)
    assert not (tmp_path / "rows").exists()
    assert Described(tmp_path / "rows", "t").places(NAMES).tolist() == [-1, -1, -1]
