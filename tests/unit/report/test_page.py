"""The report: whole, self-contained, honest about what is simulated and what is missing."""

import io
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldflow.artifacts.store.leaderboard import tidy
from boldflow.report.figures import Drawing
from boldflow.report.page import Study, render_page
from boldflow.report.provenance import Provenance, Source, Split

STUDY = Study("demo", "A <title> & more", "top5", "image", "Why.")
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements in order; complains about tags that are not closed in their order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.captions, self.ids = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.text.append("\n" if tag in ("td", "th") else "")
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("caption", "figcaption"):
            self.captions.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
        if "caption" in self.open or "figcaption" in self.open:
            self.captions[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def words(self):
        return "".join(self.text)


def board(simulated=True, dataset="sim"):
    rows = []
    for subject in ("sub-01", "sub-02"):
        for model, value in (("ridge", 0.6251), ("dummy", 0.2)):
            decode = {"direction": "decode", "model": model, "metric": "top5", "view": "image", "value": value}
            interval = {"ci_low": value - 0.1, "ci_high": value + 0.1, "ci_method": "percentile bootstrap over images"}
            rows.append({**decode, **interval, "subject": subject, "chance": 0.2083, "gallery_size": 24})
        rows.append({**rows[-1], "metric": "median_rank", "value": -1.5, "ci_low": None, "ci_high": np.nan})
        encode = {"direction": "encode", "model": "ridge-encoder", "metric": "r", "view": "image", "roi": "V1"}
        rows.append({**encode, "subject": subject, "value": np.nan})
    shared = {"study": "demo", "dataset": dataset, "response": "bold", "feature": "gabor", "split": "repeated"}
    shared |= {"seed": "0", "fold": "all", "protocol": "mended", "transductive": "run", "code_digest": "c0de" * 4}
    table = pd.DataFrame(rows).assign(**shared, simulated=simulated, n_test_images=24)
    return tidy(table.assign(primary=table["metric"] == "top5"))


def png(width=320, height=160):
    data = io.BytesIO()
    Image.new("RGB", (width, height)).save(data, format="png")
    return data.getvalue()


def figures(simulated=True):
    return [Drawing(name, "Scores", "What <is> seen.", png(), simulated) for name in ("leaderboard", "other")]


def provenance(simulated=True, dataset="sim"):
    citation, origin = "Someone 2001, https://doi.org/10.1/x.", "https://example.org/ds?a=1&b=2"
    source = Source(dataset, None, "CC0", citation, origin, "abc123", simulated)
    split = Split(
        name="repeated",
        dataset=dataset,
        rule={"name": "repeated", "test": "repeated"},
        unit="image",
        n_folds=1,
        units={"train": 17, "test": 8},
        trials={"sub-01": {"train": 71, "test": 33}},
        duplicate_groups=[["im1", "im2"]] * 25,
        grouped_by=["pixels"],
    )
    return Provenance([source], [split], {"numpy": "2.0", "python": "3.11"}, {"x": "d1"}, ["A note."])


def costs():
    rows = [("train_model", "a", 75.0, 900.0), ("train_model", "b", 130.0, None), ("score_model", "c", 0.26, 100.0)]
    return pd.DataFrame(rows, columns=["rule", "job", "seconds", "max_rss_mb"])


def page(simulated=True, **changed):
    """A page of made tables; those of ``changed`` that are no argument of render_page are tables."""
    content = {"study": STUDY, "figures": figures(simulated), "provenance": provenance(simulated)}
    tables = {"leaderboard": board(simulated), "costs": costs()}
    tables |= {name: table for name, table in changed.items() if name not in content}
    return render_page(tables=tables, **(content | {name: changed[name] for name in changed if name in content}))


def test_the_page_is_well_formed_and_the_same_every_time():
    text = page()
    found = Page(text)
    assert text == page()
    assert text.startswith("<!DOCTYPE html>")
    assert found.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(attrs.get("scope") in ("col", "row") for attrs in found.all("th"))
    assert len(found.all("caption")) == len(found.all("table")) > 6
    names = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(names) == len(set(names))
    targets = [a["href"][1:] for a in found.all("a") if a["href"].startswith("#")]
    assert targets and set(targets) <= set(names)


def test_nothing_is_asked_of_the_network():
    text = page()
    found = Page(text)
    assert not found.all("script") and not found.all("iframe")
    for tag, attrs in found.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            address = attrs.get(name)
            if address and not (tag == "a" and name == "href"):
                assert address.startswith("data:"), (tag, name, address[:60])
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert [a["href"] for a in found.all("a") if "//" in a["href"]] == [
        "https://doi.org/10.1/x",
        "https://example.org/ds?a=1&b=2",
    ]


def test_figures_are_inside_with_alternative_text_and_their_size():
    images = Page(page()).all("img")
    assert len(images) == 2
    for image in images:
        assert image["src"].startswith("data:image/png;base64,")
        assert image["alt"] == "SIMULATED. Scores. What <is> seen."
        assert int(image["width"]) == 2 * int(image["height"])


def test_what_is_given_is_escaped():
    assert "<title> & more" not in page()
    assert "A <title> & more" in Page(page()).words


def test_missing_values_are_dashes():
    text = page()
    words = Page(text).words
    assert not re.search(r"\bnan\b|<NA>|\bNaT\b|\bNone\b", words, re.IGNORECASE)
    assert "\N{EN DASH}" in words


def test_numbers_are_written_with_their_interval():
    words = Page(page()).words
    assert "0.625 [0.525, 0.725]" in words
    assert "\N{MINUS SIGN}1.50" in words  # no interval: the value alone
    assert "better" in words and "undecided" in words
    assert "mended" in words
    assert "75.0 s" in words and "3 min 25 s" in words


def test_lower_is_better_where_it_is():
    table = board()
    ranks = table["metric"] == "median_rank"
    table.loc[ranks, ["value", "ci_low", "ci_high", "chance"]] = [3.0, 2.0, 4.0, 11.5]
    study = replace(STUDY, metric="median_rank")
    words = Page(page(study=study, leaderboard=table)).words
    assert "lower is better" in words
    cells = words[words.index("Headline: ") : words.index("Transductive: ")].split("\n")
    assert cells.count("better") == 2 and "worse" not in cells


def test_counts_of_the_split_and_its_duplicates_are_shown():
    words = Page(page()).words
    assert all(number in words for number in ("71", "33", "17"))
    assert "25 duplicate groups" in words and "and 5 more" in words


def test_simulated_stands_on_every_caption_and_at_the_top_or_nowhere():
    found = Page(page(simulated=True))
    measured = ("Versions", "Digests of code", "Costs")
    for caption in found.captions:
        assert ("SIMULATED" in caption) != caption.startswith(measured), caption
    assert any("banner" in attrs.get("class", "") for _, attrs in found.tags)
    assert found.words.index("SIMULATED.") < found.words.index("What was run")
    real = Page(page(simulated=False))
    assert "SIMULATED" not in real.words.upper()
    assert not any("banner" in attrs.get("class", "") for _, attrs in real.tags)


def test_a_study_of_both_kinds_marks_the_simulated_ones():
    both = pd.concat([board(True), board(False, "haxby")], ignore_index=True)
    sources = [*provenance(True).sources, *provenance(False, "haxby").sources]
    found = Page(page(leaderboard=both, figures=figures(False), provenance=replace(provenance(), sources=sources)))
    assert any("PARTLY SIMULATED" in caption for caption in found.captions)
    of_real = [caption for caption in found.captions if "(haxby)" in caption]
    of_made = [caption for caption in found.captions if "(sim)" in caption]
    assert of_real and not any("SIMULATED" in caption for caption in of_real)
    assert of_made and all("SIMULATED" in caption for caption in of_made)
    assert "sim (SIMULATED)" in found.words and "haxby (SIMULATED)" not in found.words
    assert all("SIMULATED" not in image["alt"] for image in found.all("img"))


def test_a_study_without_figures_costs_or_provenance_has_a_page_too():
    empty = costs().iloc[:0]
    found = Page(page(figures=[], costs=empty, provenance=Provenance(), study=replace(STUDY, description="")))
    assert "No job of this study was measured" in found.words
    assert not found.all("figure")


def test_what_cannot_be_reported_is_refused():
    with pytest.raises(ValueError, match=r"primary metric auc \(image\)"):
        page(study=replace(STUDY, metric="auc"))
    with pytest.raises(ValueError, match="expected the bytes of a PNG"):
        page(figures=[replace(figures()[0], png=b"%PDF-1.7")])


def separations():
    about = {
        "dataset": "sim",
        "response": "bold",
        "feature": "none",
        "split": "repeated",
        "seed": "0",
        "simulated": True,
    }
    about |= {"label": "category", "class": "face", "against": "all others", "n_latents": 32, "n_permutations": 200}
    about |= {"n_class_images": 6, "n_test_images": 36}
    rows = []
    for model, p in (("sae-high-32", 0.0123), ("raw", np.nan)):
        own = {**about, "subject": "sub-01", "model": model}
        rows.append(
            {**own, "metric": "auc", "protocol": "mended", "value": 0.91, "ci_low": 0.8, "ci_high": 1, "p": p, "q": p}
        )
        rows.append({**own, "metric": "norm_p", "protocol": "mended", "p": 0.44})
        rows.append({**own, "metric": "norm_p", "protocol": "published", "p": 1.2e-5})
    return pd.DataFrame(rows)


def test_what_codes_say_stands_beside_the_published_test_and_is_left_out_where_nothing_was_asked():
    asked = Page(page(separations=separations()))
    assert "What codes say of a class of pictures" in asked.words
    words = asked.words.split("\n")
    start = words.index("sae-high-32")
    assert [word.strip() for word in words[start : start + 8]] == [
        *["sae-high-32", "32", "0.910 [0.800, 1.000]", "0.0123", "0.0123", "1.2e-05", "0.44", "6 of 36"]
    ]
    assert "category face against all others" in asked.words and "200 refits" in asked.words
    assert "What codes say" not in Page(page()).words


def test_units_that_are_found_again_are_told_by_pair_of_codes():
    about = {"dataset": "sim", "response_a": "bold", "feature_a": "none", "model_a": "sae", "subject_a": "sub-01"}
    about |= {"response_b": "none", "feature_b": "gabor", "model_b": "sae", "subject_b": "none", "stability": 0.25}
    matches = pd.DataFrame({"r": [0.9, 0.5], "held_out": [0.4, 0.1]}).assign(**about, p=0.03, simulated=True)
    matches = matches.assign(n_matching=18, n_held_out=17)
    asked = Page(page(separations=separations(), matches=matches))
    words = [word.strip() for word in asked.words.split("\n")]
    start = words.index("sub-01 · bold · sae")
    wanted = ["gabor · sae", "sim", "2", "0.700", "0.250", "0.0300", "18 and 17"]
    assert words[start + 1 : start + 8] == wanted
