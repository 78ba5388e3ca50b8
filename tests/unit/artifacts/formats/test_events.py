"""Tables of events are read as meant or refused by file and line."""

import pandas as pd
import pytest

from boldflow.artifacts.formats import events

HEADER = "onset\tduration\ttrial_type\tstim_file"
ROWS = ["0\t1\tface\ta.png", "2\t1\thouse\tb.png", "4\t1\tface\tc.png"]
LABELS = {"a.png": "face", "b.png": "house", "c.png": "face", "d.png": "tool"}


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else "\n".join(content).encode())
    return events.in_order(events.read(path, ["onset", "duration"], ["trial_type", "stim_file"]), path)


@pytest.mark.parametrize(
    "content",
    [
        "\r\n".join([HEADER, *ROWS, ""]).encode(),
        "\n".join([HEADER, *ROWS]).encode("utf-8-sig"),
        "\n".join([HEADER, *reversed(ROWS), "", ""]).encode(),
        "\n".join([HEADER, "", *ROWS]).encode(),
    ],
)
def test_other_spellings_mean_the_same(tmp_path, content):
    plain = read(tmp_path / "plain.tsv", [HEADER, *ROWS])
    other = read(tmp_path / "other.tsv", content)
    pd.testing.assert_frame_equal(
        plain.drop(columns=["in_file", "in_line"]), other.drop(columns=["in_file", "in_line"])
    )
    assert plain["in_line"].tolist() == [2, 3, 4] and plain["onset"].tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"\(0 bytes\) is empty; expected a header with onset"),
        ([HEADER], "has a header and no rows"),
        (["onset\tduration", "1\t2"], r"line 1 lacks columns \['trial_type', 'stim_file'\]; there are: \['onset'"),
        ([HEADER + "\tonset", ROWS[0] + "\t1"], r"columns \['onset'\] twice"),
        ([HEADER, ROWS[0], "", ROWS[1] + "\tmore"], "line 4 has 5 fields, the header 4"),
        ([HEADER, ROWS[0], "n/a\t1\tface\ta.png"], "line 3: onset must be a number, not 'n/a'"),
        ([HEADER, "inf\t1\tface\ta.png"], "line 2: onset must be a number, not 'inf'"),
        ([HEADER, "1\t1\tface\t "], "line 2: stim_file is ' ', expected a name"),
        ([HEADER, *ROWS, ROWS[1]], r"line 5: the event at 2 s \(line 3\) is listed twice; 1 such rows"),
        ([HEADER, *ROWS, "2\t1\tface\ta.png"], r"line 5: the event at 2 s \(line 3\) has another event at the same"),
        (HEADER.encode() + b"\n1\t1\tface\t\xff.png", "line 2: byte 0xff is no UTF-8 text"),
    ],
)
def test_what_is_not_clear_is_refused_by_line(tmp_path, content, said):
    with pytest.raises(ValueError, match=r"e\.tsv.*" + said):
        read(tmp_path / "e.tsv", content)


def test_events_match_pictures_both_ways(tmp_path):
    table = read(tmp_path / "e.tsv", [HEADER, *ROWS])
    assert events.check_pictures(table, LABELS, "s.tsv") == ["d.png"]
    without = {name: label for name, label in LABELS.items() if name != "b.png"}
    with pytest.raises(
        ValueError, match=r"1 of 3 events show 1 pictures .* the 3 of s.tsv; .* 'b.png' in e.tsv, line 3"
    ):
        events.check_pictures(table, without, "s.tsv")
    with pytest.raises(
        ValueError, match=r"1 of 3 .* 1 of its 4 pictures; .* 'a.png' \('face', not 'tool'\) in e.tsv, lin"
    ):
        events.check_pictures(table, {**LABELS, "a.png": "tool"}, "s.tsv")


def test_a_shift_by_a_row_is_called_one(tmp_path):
    labels = {f"{k}.png": ("face", "house", "tool")[k % 3] for k in range(30)}
    rows = [f"{k}\t1\t{labels[f'{k}.png']}\t{(k + 1) % 30}.png" for k in range(30)]
    with pytest.raises(
        ValueError, match=r"30 of 30 events .* moved down by one row, the pictures of 29 events would fit"
    ):
        events.check_pictures(read(tmp_path / "e.tsv", [HEADER, *rows]), labels, "s.tsv")
