"""Published figures: the tracked table holds what was published, and a wrong one is refused by line and column."""

import csv

import pytest

from boldflow.artifacts.releases import published
from tests.conftest import ROOT

TRACKED = ROOT / "config" / "published.csv"
GOOD = {
    "system": "gnet",
    "dataset": "nsd",
    "subject": "subj01",
    "response": "betas-z",
    "roi": "V1",
    "direction": "encode",
    "feature": "pixels",
    "model": "gnet8j",
    "split": "shared-1000",
    "view": "trial",
    "metric": "r2",
    "gallery_size": "",
    "value": "19.45",
    "unit": "percent",
    "protocol": "published",
    "source": "A paper, its table",
    "note": "",
}


def write(folder, *rows, header=None):
    path = folder / "published.csv"
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(header or list(GOOD))
        lines.writerows(list(row.values()) if isinstance(row, dict) else row for row in rows)
    return path


def rows(table, **wanted):
    for key, value in wanted.items():
        table = table[table[key] == value]
    return table


def test_the_tracked_table_is_whole_and_says_of_each_figure_where_it_stands():
    table = published.read(TRACKED)
    assert table["source"].ne("").all() and set(table["system"]) == {"gnet", "sae"}
    gnet = rows(table, system="gnet", metric="r2")
    assert len(gnet) == 8 * 4 * 6 and set(gnet["unit"]) == {"percent"}
    assert rows(gnet, subject="subj01", roi="V1", model="gnet8j")["value"].tolist() == [19.45]
    assert rows(gnet, subject="subj08", roi="hV4", model="gnet8jft")["value"].tolist() == [6.40]
    assert len(rows(table, metric="ceiling")) == 32 and len(rows(table, metric="fev")) == 96
    assert len(rows(table, system="sae", metric="mse")) == 40 and len(rows(table, metric="mannwhitney_p")) == 32
    assert rows(table, metric="mannwhitney_p", model="sae-low-64", subject="subj06")["value"].tolist() == [0.470]
    # the reconstructed mean over subjects, found by hand from the same source
    assert rows(gnet, roi="V1", model="gnet8j")["value"].mean() == pytest.approx(14.27, abs=0.005)


def test_models_do_not_beat_their_ceiling_where_both_were_published():
    table = published.read(TRACKED).set_index(["subject", "roi"])
    ceiling = table.loc[table["metric"] == "ceiling", "value"]
    for _, part in table[table["metric"] == "r2"].groupby("model"):
        assert (part["value"] < ceiling[part.index]).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"value": "n/a"}, r"line 3, column value: 'n/a', must be a finite number"),
        ({"value": "inf"}, r"line 3, column value: 'inf', must be a finite number"),
        ({"unit": "%"}, r"line 3, column unit: '%', must be one of 1, percent"),
        ({"protocol": "ours"}, r"line 3, column protocol: 'ours', must be one of published, other"),
        ({"protocol": "other"}, r"line 3, column note: empty, must say something \(protocol 'other'"),
        ({"direction": "encoding"}, r"line 3, column direction: 'encoding', must be one of decode"),
        ({"source": ""}, r"line 3, column source: empty"),
        ({"model": ""}, r"line 3, column model: empty"),
        ({"metric": "ceiling"}, r"line 3, column model: 'gnet8j', a ceiling is of the data"),
        ({"gallery_size": "many"}, r"line 3, column gallery_size: 'many', must be a whole number"),
        ({"value": "20"}, r"line 3: columns dataset, .* are those of line 2"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column(tmp_path, changed, said):
    other = GOOD | ({} if changed == {"value": "20"} else {"subject": "subj02"}) | changed
    with pytest.raises(ValueError, match=said) as error:
        published.read(write(tmp_path, GOOD, other))
    assert str(tmp_path / "published.csv") in str(error.value)


def test_a_wrong_shape_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"columns missing \['note'\], unknown \['remark'\]"):
        published.read(write(tmp_path, header=[name.replace("note", "remark") for name in GOOD]))
    with pytest.raises(ValueError, match=r"line 2: 18 cells, the header has 17; a comma needs quotes"):
        published.read(write(tmp_path, [*GOOD.values(), "more"]))
    path = tmp_path / "published.csv"
    path.write_bytes(path.read_bytes() + b"\xff\n")
    with pytest.raises(ValueError, match=r"line 3: byte 0xff is no UTF-8 text"):
        published.read(path)


def test_an_empty_table_and_two_sources_under_different_protocols_are_fine(tmp_path):
    assert len(published.read(write(tmp_path))) == 0
    again = GOOD | {"value": "18", "protocol": "other", "note": "an older run"}
    assert published.read(write(tmp_path, GOOD, again))["line"].tolist() == [2, 3]
