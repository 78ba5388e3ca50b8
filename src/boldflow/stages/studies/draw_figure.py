"""Figures: tables in, PDF, SVG, PNG and the source table out, provenance inside each file."""

import hashlib
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from boldflow import registry
from boldflow.artifacts.store import comparisons as pair_tables
from boldflow.artifacts.store import stimuli, tables
from boldflow.artifacts.store.atomic import atomic
from boldflow.drawing import figure_style
from boldflow.provenance import canonical
from boldflow.registry import plugin_of
from boldflow.settings import read_settings

RESULT = ["dataset", "subject", "response", "feature", "model", "split"]  # folders of a result
PNG_DPI = 160  # the page sizes figures by it
PRINT_DPI = 300  # of pictures and maps inside PDF and SVG


def run(
    leaderboard: str,
    comparisons: list[str],
    maps: list[str],
    queries: list[str],
    bands: list[str],
    wins: list[str],
    histories: list[str],
    separations: list[str],
    embeddings: list[str],
    units: list[str],
    reconstructions: list[str],
    published: list[str],
    packs: list[str],
    tables_: list[str],
    pdf: str,
    svg: str,
    png: str,
    csv: str,
    settings: str,
    code: str,
) -> None:
    """Draw one figure of a study.

    Parameters
    ----------
    leaderboard : path of the study's tidy table
    comparisons : path of the differences between models, where the figure needs it
    maps, queries : paths of vertex maps and retrieval tables, where the figure needs them
    bands, wins : paths of what joined features explain and of the study's win shares, where the figure needs them
    histories : paths of histories of training, where the figure needs them
    separations : path of what a study's codes say of a class, where the figure needs it
    embeddings, units, reconstructions : paths of tables of codes, where the figure needs them
    published : path of the published figures of the study's data sets and models, where the figure needs them
    packs, tables_ : paths of stimulus packs and their tables, where the figure shows pictures
    pdf, svg, png, csv : paths to write
    settings : the figure's catalogue entry, JSON text
    code : digests of the modules of this stage and the figure's plug-in, JSON text

    Raises
    ------
    ValueError
        If the study has nothing that the figure could draw.
    """
    mpl.use("agg")
    entry = read_settings(settings)
    plugin = plugin_of("figures", entry)
    needed = registry.literal("figures", entry["plugin"], "NEEDS")
    given: dict[str, Any] = {"leaderboard": tables.read(leaderboard)}
    if "comparisons" in needed:
        given["comparisons"] = pair_tables.read(*comparisons)
    if "maps" in needed:
        given["maps"] = _joined(maps, entry["name"], "vertex maps; it needs a model with direction encode")
    if "queries" in needed:
        given["queries"] = _joined(queries, entry["name"], "retrieval results; it needs a decoder of embeddings")
    if "bands" in needed:
        given["bands"] = _joined(bands, entry["name"], "encoder that tells bands of its features apart, of a stack")
    if "wins" in needed:
        given["wins"] = _joined(wins, entry["name"], "two encoders of the same responses and split")
    if "histories" in needed:
        given["histories"] = _histories(histories, given["leaderboard"], entry["name"])
    for name, paths in (
        ("separations", separations),
        ("embeddings", embeddings),
        ("units", units),
        ("reconstructions", reconstructions),
    ):
        if name in needed:
            given[name] = _joined(paths, entry["name"], "codes that were asked for a class (its key latents)")
    if "published" in needed:
        given["published"] = tables.read_text_csv(*published)
    source = plugin.source_table(given, entry)
    if "images" in needed:
        given["images"] = _pictures(source, packs, tables_)
    if "simulated" not in source:
        raise ValueError(f"figure {entry['name']}: its source_table has no column 'simulated'; found {list(source)}")
    made_up = source["simulated"].astype(bool)
    simulated = bool(made_up.any())
    # one salt for all SVG: equal drawings give equal files
    with mpl.rc_context({"svg.hashsalt": "boldflow", "pdf.fonttype": 42, "svg.fonttype": "none"}):
        figure = plugin.draw(given, entry)
        if simulated:
            figure_style.stamp_simulated(figure, partly=not made_up.all())
        lists = (comparisons, maps, queries, bands, wins, histories, separations, embeddings, units, reconstructions)
        drawn_from = [path for paths in (*lists, published) for path in sorted(paths)]
        note = {
            "figure": entry,
            "code": code,
            "simulated": simulated,
            "tables": {Path(p).as_posix(): _sha256(p) for p in (leaderboard, *drawn_from)},
        }
        text = canonical(note)
        _save(figure, pdf, {"Creator": "boldflow", "Subject": text, "CreationDate": None, "ModDate": None})
        _save(figure, svg, {"Creator": "boldflow", "Description": text, "Date": None})
        _save(figure, png, {"Software": "boldflow", "Description": text})
    tables.write_csv(csv, source)


def _save(figure: Any, path: str, metadata: dict[str, Any]) -> None:
    with atomic(path) as temporary:
        figure.savefig(
            temporary,
            metadata=metadata,
            dpi=PNG_DPI if path.endswith("png") else PRINT_DPI,
            bbox_inches="tight",
            pad_inches=0.1,
        )


def _joined(paths: list[str], name: str, lacking: str) -> pd.DataFrame:
    found = [table for table in map(tables.read, paths) if len(table)]
    if not found:
        raise ValueError(f"figure {name}: the study has no {lacking}; take it off the study's figures")
    return pd.concat(found, ignore_index=True)


def _histories(paths: list[str], board: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of all histories that have epochs, with whose they are: a result's folder is its names."""
    made_up = board.drop_duplicates("dataset").set_index("dataset")["simulated"]
    found = []
    for path in paths:
        table = tables.read_csv(path)
        if "epoch" in table:
            names = dict(zip(RESULT, Path(path).parts[-len(RESULT) - 1 : -1], strict=True))
            found.append(table.assign(**names, simulated=bool(made_up[names["dataset"]])))
    if not found:
        raise ValueError(f"figure {name}: no model of the study learns by epochs; take it off the study's figures")
    return pd.concat(found, ignore_index=True)


def _pictures(source: pd.DataFrame, packs: list[str], tables_: list[str]) -> dict[tuple[str, str], np.ndarray]:
    """Pictures that a figure's source table names: of its queries and their nearest candidates, or of its units."""
    wanted: dict[tuple[str, str], np.ndarray] = {}
    columns = ["image_id", *[c for c in source if c.startswith("nearest_")]]
    for pack, table in zip(packs, tables_, strict=True):
        dataset = Path(pack).parent.name
        names = np.unique(source.loc[source["dataset"] == dataset, columns].to_numpy(dtype=str))
        with stimuli.Pack(pack, tables.read(table)) as pictures:
            wanted |= {(dataset, name): pictures.read(name) for name in names if name}
    return wanted


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
