"""Canonical text, and looks at files from outside."""

import pytest

from boldflow import provenance


def test_a_look_at_a_folder_sees_names_sizes_and_times_and_not_what_the_system_leaves(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below/a.png").write_bytes(b"1234")
    before = provenance.look(tmp_path)
    assert (before["n_files"], before["n_bytes"]) == (1, 4)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert provenance.look(tmp_path) == before
    (tmp_path / "below/a.png").write_bytes(b"4321")
    assert provenance.look(tmp_path)["state"] != before["state"]
    assert provenance.look(tmp_path / "below/a.png")["n_bytes"] == 4
    assert provenance.look(tmp_path / "nowhere")["n_files"] == 0
    assert provenance.look(tmp_path, "**/a*")["n_files"] == 1 and provenance.look(tmp_path, "a*")["n_files"] == 0


def test_canonical_text_does_not_depend_on_order():
    assert provenance.canonical({"b": [1, 2.5], "a": None}) == provenance.canonical({"a": None, "b": [1, 2.5]})
    with pytest.raises(TypeError):
        provenance.canonical({"a": {1, 2}})
    with pytest.raises(ValueError):
        provenance.canonical(float("nan"))
