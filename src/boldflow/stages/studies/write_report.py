"""The report: one page from a study's tables, figures and sidecars."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from boldflow.artifacts.store import sidecars
from boldflow.artifacts.store.atomic import write_text
from boldflow.provenance import digest
from boldflow.report.figures import Drawing
from boldflow.report.page import Study, render_page
from boldflow.report.provenance import Provenance, Source, Split
from boldflow.settings import read_facts_by_name, read_settings
from boldflow.stages.studies._tables import read_frames
from boldflow.vocabulary.facts import FigureFacts

SOFTWARE = ("boldflow", "snakemake", "numpy", "scipy", "scikit-learn", "nilearn", "nibabel", "datalad", "git-annex")


@dataclass(frozen=True)
class _Facts:
    """What the page says of a data set's facts."""

    version: str
    licence: str
    citation: str
    simulated: bool


def run(tables: Mapping[str, Sequence[str]], page: str, study: str, facts: str, captions: str, code: str) -> None:
    """Write the page.

    Parameters
    ----------
    tables : paths of each table that a section of the page needs, by the table's name (``vocabulary.tables``)
    page : path of the HTML to write
    study, facts, captions : the study, facts of its data sets and of its figures' plug-ins, JSON text
    code : digests of the modules of this stage, JSON text
    """
    texts = read_facts_by_name(captions, FigureFacts)
    figures = [_drawing(Path(path), texts[Path(path).stem]) for path in tables["figures"]]
    provenance = _provenance(tables, read_facts_by_name(facts, _Facts), code)
    write_text(page, render_page(_study(study), read_frames(tables), figures, provenance))


def _study(text: str) -> Study:
    entry = read_settings(text)
    primary = entry["primary"]
    return Study(entry["name"], entry["title"], primary["metric"], primary["view"], entry.get("description", ""))


def _provenance(tables: Mapping[str, Sequence[str]], facts: Mapping[str, _Facts], code: str) -> Provenance:
    """Gather receipts, splits and what was done to responses, with versions and digests."""
    receipts = [sidecars.read(path) for path in tables["receipts"]]
    responses = {Path(path): sidecars.read(path) for path in tables["responses"]}
    return Provenance(
        sources=[_source(receipt, facts[receipt["name"]]) for receipt in receipts],
        splits=[_split(Path(path)) for path in tables["splits"]],
        software=sidecars.versions(*SOFTWARE),
        code={"report": digest(code), **{str(path.parent): digest(note["code"]) for path, note in responses.items()}},
        notes=[_response_note(path, note) for path, note in responses.items()],
    )


def _source(receipt: Mapping[str, Any], facts: _Facts) -> Source:
    """Join what arrived of a data set with what its plug-in says of it."""
    return Source(
        **{key: receipt[key] for key in ("name", "origin", "commit")},
        **asdict(facts),
    )


def _split(path: Path) -> Split:
    """Read how a split was made; its folder's folder is its data set."""
    note = sidecars.read(path)
    counts = note["counts"]
    return Split(
        name=note.get("split") or note.get("rule", {}).get("name"),
        dataset=path.parts[-3],
        rule=note.get("rule", {}),
        unit=note["unit"],
        n_folds=counts["folds"],
        units=counts["units"],
        trials=counts["trials"],
        duplicate_groups=note.get("duplicate_groups", []),
        grouped_by=note.get("grouped_by", []),
        alike=note.get("alike", []),
        dropped=note.get("dropped", {}),
    )


def _drawing(path: Path, texts: FigureFacts) -> Drawing:
    """Read a figure with its title and caption; whether it is simulated stands inside the file."""
    with Image.open(path) as image:
        note = read_settings(image.info["Description"])
    return Drawing(path.stem, texts.title, texts.caption, path.read_bytes(), note["simulated"])


def _response_note(path: Path, note: Mapping[str, Any]) -> str:
    """Say in a sentence what was done to a subject's responses."""
    window, glm_note = note.get("window"), note.get("glm")
    if window:
        window_text = f"{window['n_volumes']} volumes from {window['start_s']:g} s after onset, TR {note['tr_s']:g} s"
    elif glm_note:
        window_text = f"single-trial betas by {glm_note['method'].upper()}, {glm_note['hrf']} haemodynamic response"
    else:
        window_text = "single-trial betas as published"
    result_name = "/".join(path.parts[-4:-1])
    return (
        f"{result_name}: {note['shape'][0]} trials, {note['shape'][-1]} {note['space']} columns ({note['n_masked']} "
        f"without signal left out); {window_text}; {note['units']}"
    )
