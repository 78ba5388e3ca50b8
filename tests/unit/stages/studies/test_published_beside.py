"""Published figures stand beside ours only where everything agrees, and never beside simulated rows."""

import pandas as pd
import pytest

from boldflow.artifacts.releases import published
from boldflow.artifacts.store.leaderboard import tidy
from boldflow.stages.studies._published import beside

OURS = {
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
    "protocol": "published",
    "simulated": False,
    "value": 0.19,
}
FIGURE = {key: OURS[key] for key in published.KEYS if key in OURS} | {"gallery_size": "", "system": "gnet"}
FIGURE |= {"value": 19.45, "unit": "percent", "protocol": "published", "source": "A table", "note": "", "line": 2}


def found(ours, *figures):
    board, apart = beside(tidy([OURS | one for one in ours]), pd.DataFrame([FIGURE | one for one in figures]))
    return board["published_value"].tolist(), apart["reason"].tolist(), board


def test_a_figure_stands_beside_the_row_that_it_is_of_in_the_leaderboards_unit():
    values, reasons, board = found([{}, {"roi": "V2"}, {"seed": "1"}], {})
    assert values[0] == values[2] == pytest.approx(0.1945) and pd.isna(values[1])
    assert reasons == [""] and board["published_source"].tolist()[0] == "A table"


@pytest.mark.parametrize(
    ("ours", "reason"),
    [
        ({"subject": "subj02"}, "subject: published subj01, here subj02"),
        ({"roi": "V2"}, "roi: published V1, here V2"),
        ({"roi": None}, "roi: published V1, here none"),
        ({"metric": "r"}, "metric: published r2, here r"),
        ({"view": "image"}, "view: published trial, here image"),
        ({"split": "repeated"}, "split: published shared-1000, here repeated"),
        ({"response": "betas"}, "response: published betas-z, here betas"),
        ({"feature": "gabor"}, "feature: published pixels, here gabor"),
        ({"direction": "decode"}, "direction: published encode, here decode"),
        ({"model": "ridge"}, "model: published gnet8j, here ridge"),
        ({"dataset": "bold5000"}, "dataset: published nsd, here bold5000"),
        ({"gallery_size": 100}, "gallery_size: published none, here 100"),
        ({"protocol": "mended"}, "protocol: ours is mended, not the published one"),
        ({"protocol": None}, "protocol: ours is none, not the published one"),
    ],
)
def test_whatever_differs_keeps_them_apart_and_is_the_reason(ours, reason):
    values, reasons, _ = found([ours], {})
    assert pd.isna(values).all() and reasons == [reason]


def test_nothing_simulated_is_ever_matched_or_set_in_relation():
    values, reasons, _ = found([{"simulated": True}, {"simulated": None}], {})
    assert pd.isna(values).all() and reasons == []
    values, reasons, _ = found([{"simulated": True}, {"roi": "V2"}], {})
    assert pd.isna(values).all() and reasons == ["roi: published V1, here V2"]


def test_figures_of_other_data_sets_and_models_are_not_shown():
    assert found([{"dataset": "haxby", "model": "ridge"}], {})[1] == []


def test_a_ceiling_is_of_the_data_whatever_the_model():
    ceiling = {"metric": "ceiling", "model": "", "feature": "", "value": 23.34}
    values, reasons, _ = found([{"metric": "ceiling", "model": "ridge", "feature": "gabor"}, {}], ceiling)
    assert values[0] == pytest.approx(0.2334) and pd.isna(values[1]) and reasons == [""]


def test_a_figure_of_another_protocol_never_fits_and_says_why():
    values, reasons, _ = found([{}], {"protocol": "other", "note": "an older run"})
    assert pd.isna(values).all() and reasons == ["found under another protocol than the publication's: an older run"]


def test_another_gallery_of_ours_is_left_out():
    values, reasons, _ = found([{"gallery": "full"}, {"roi": "V2"}], {})
    assert pd.isna(values).all() and reasons == ["roi: published V1, here V2"]
