"""Figures: tables in, PDF, SVG, PNG and the source table out, provenance inside each file."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from boldflow.artifacts.store import tables as table_files
from boldflow.artifacts.store.atomic import atomic
from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables
from boldflow.provenance import canonical
from boldflow.registry import plugin_of
from boldflow.settings import read_entry
from boldflow.stages.studies._surfaces import read_hemispheres
from boldflow.stages.studies._tables import read_frames, read_pictures
from boldflow.vocabulary.tables import TABLES, Reader

PNG_DPI = 160  # the page sizes figures by it
PRINT_DPI = 300  # of pictures and maps inside PDF and SVG
# one salt for all SVG: equal drawings give equal files
FILES = {"svg.hashsalt": "boldflow", "pdf.fonttype": 42, "svg.fonttype": "none"}


def run(tables: Mapping[str, Sequence[str]], pdf: str, svg: str, png: str, csv: str, settings: str, code: str) -> None:
    """Draw one figure of a study.

    Parameters
    ----------
    tables : paths of each table that the figure's plug-in needs, by the table's name (``vocabulary.tables``)
    pdf, svg, png, csv : paths to write
    settings : the figure's catalogue entry, JSON text
    code : digests of the modules of this stage and the figure's plug-in, JSON text

    Raises
    ------
    ValueError
        If the study has nothing that the figure could draw.
    """
    mpl.use("agg")
    entry = read_entry(settings)
    plugin = plugin_of("figures", entry)
    frames = read_frames(tables)
    _refuse_empty(tables, frames, entry.name)
    source = plugin.source_table(Tables(frames), entry)
    if "simulated" not in source:
        raise ValueError(f"figure {entry.name}: its source_table has no column 'simulated'; found {list(source)}")
    simulated = source["simulated"].astype(bool)
    images = {} if "images" not in tables else read_pictures(tables["images"], source)
    meshes = {} if "meshes" not in tables else read_hemispheres()
    note = {"figure": dict(entry), "code": code, "simulated": bool(simulated.any())}
    with mpl.rc_context(FILES):  # type: ignore[arg-type]  # matplotlib types its keys
        figure = plugin.draw(Tables(frames, images, meshes), entry)
        if simulated.any():
            figure_style.stamp_simulated(figure, partly=not simulated.all())
        _save(figure, pdf, svg, png, canonical(note | {"tables": _checksums(tables)}))
    table_files.write_csv(csv, source)


def _refuse_empty(tables: Mapping[str, Sequence[str]], frames: Mapping[str, pd.DataFrame], figure: str) -> None:
    """Stop where a table without which there is nothing to draw has no row."""
    for name in tables:
        if TABLES[name].lacking and not len(frames.get(name, ())):
            raise ValueError(
                f"figure {figure}: the study has no {TABLES[name].lacking}; take it off the study's figures"
            )


def _save(figure: Figure, pdf: str, svg: str, png: str, note: str) -> None:
    """Write the figure with its provenance inside, and without the time, so that it is the same file again."""
    metadata: dict[str, dict[str, Any]] = {
        pdf: {"Creator": "boldflow", "Subject": note, "CreationDate": None, "ModDate": None},
        svg: {"Creator": "boldflow", "Description": note, "Date": None},
        png: {"Software": "boldflow", "Description": note},
    }
    for path, content in metadata.items():
        dpi = PNG_DPI if path == png else PRINT_DPI
        with atomic(path) as temporary:
            figure.savefig(temporary, metadata=content, dpi=dpi, bbox_inches="tight", pad_inches=0.1)


def _checksums(tables: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """SHA-256 of each file of numbers; packs of pictures may be many gigabytes."""
    paths = [path for name in tables if TABLES[name].read is not Reader.PICTURES for path in tables[name]]
    return {Path(path).as_posix(): hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}
