"""The provenance inside a figure is read back whole, whatever characters it holds."""

import json

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from boldflow.artifacts.store import drawings

KEYS = {".pdf": "Subject", ".svg": "Description", ".png": "Description"}
mpl.use("agg")


@pytest.mark.parametrize("suffix", drawings.SUFFIXES)
@pytest.mark.parametrize(
    "text", ["plain", "brackets ( ) ) and \\ and \n and <&>", 'quotes " and \r and \t', "Hoerl–Kennard, λ ≥ 1, ę("]
)
def test_the_note_comes_back_as_it_went_in(tmp_path, suffix, text):
    note = {"figure": {"name": text}, "tables": {"leaderboard.parquet": "ab" * 32}}
    path = tmp_path / f"figure{suffix}"
    Figure().savefig(path, metadata={KEYS[suffix]: json.dumps(note, ensure_ascii=suffix == ".png")})
    assert drawings.note(path) == note


@pytest.mark.parametrize("suffix", drawings.SUFFIXES)
def test_a_file_without_a_note_is_named(tmp_path, suffix):
    path = tmp_path / f"figure{suffix}"
    Figure().savefig(path)
    with pytest.raises(ValueError, match=f"figure{suffix}.* holds no provenance"):
        drawings.note(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=f"figure{suffix}.* holds no provenance"):
        drawings.note(path)
