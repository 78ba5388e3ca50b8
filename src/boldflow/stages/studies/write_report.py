"""The report: one page from a study's tables, figures and sidecars."""

from pathlib import Path
from typing import Any

from PIL import Image

from boldflow.artifacts.store import comparisons as pair_tables
from boldflow.artifacts.store import sidecars, tables
from boldflow.artifacts.store.atomic import write_text
from boldflow.provenance import digest
from boldflow.report.page import render_page
from boldflow.settings import read_settings

SOFTWARE = ("boldflow", "snakemake", "numpy", "scipy", "scikit-learn", "nilearn", "nibabel", "datalad", "git-annex")


def run(
    leaderboard: str,
    comparisons: str,
    published_: str,
    separations: list[str],
    matches: list[str],
    costs: str,
    figures: list[str],
    sources: list[str],
    splits: list[str],
    responses: list[str],
    page: str,
    study: str,
    facts: str,
    captions: str,
    code: str,
) -> None:
    """Write the page.

    Parameters
    ----------
    leaderboard, comparisons, published_, costs : paths of the study's tables
    separations : path of what the study's codes say of a class; empty where it asks nothing
    matches : path of the units that are found again in other codes; empty where it asks for none
    figures : paths of its PNG figures
    sources : paths of its data sets' receipts
    splits, responses : paths of the sidecars of its splits and responses
    page : path of the HTML to write
    study, facts, captions : the study, facts of its data sets and of its figures' plug-ins, JSON text
    code : digests of the modules of this stage, JSON text
    """
    known, told = read_settings(facts), read_settings(captions)
    receipts = [sidecars.read(path) for path in sources]
    provenance: dict[str, Any] = {
        "datasets": [
            {
                **{key: known[note["name"]][key] for key in ("version", "licence", "citation", "simulated")},
                **{key: note[key] for key in ("name", "origin", "commit")},
            }
            for note in receipts
        ],
        "splits": [{**sidecars.read(path), "dataset": Path(path).parts[-3]} for path in splits],
        "software": sidecars.versions(*SOFTWARE),
        "code": {
            "report": digest(code),
            **{str(Path(p).parent): digest(sidecars.read(p)["code"]) for p in responses},
        },
        "notes": [_response_note(Path(path)) for path in responses],
    }
    drawn = [_figure(Path(path), told) for path in figures]
    text = render_page(
        study=read_settings(study),
        leaderboard=tables.read(leaderboard),
        figures=drawn,
        costs=tables.read(costs),
        provenance=provenance,
        comparisons=pair_tables.read(comparisons),
        published=tables.read_text_csv(published_),
        separations=tables.read(separations[0]) if separations else None,
        matches=tables.read(matches[0]) if matches else None,
    )
    write_text(page, text)


def _figure(path: Path, told: dict[str, Any]) -> dict[str, Any]:
    """Read a figure with its caption; whether it is simulated stands inside the file."""
    with Image.open(path) as image:
        note = read_settings(image.info["Description"])
    own = told[path.stem]
    return {
        "name": path.stem,
        "title": own["title"],
        "caption": own["caption"],
        "png": path.read_bytes(),
        "simulated": note["simulated"],
    }


def _response_note(path: Path) -> str:
    """Say in a sentence what was done to a subject's responses."""
    note = sidecars.read(path)
    window, model = note.get("window"), note.get("glm")
    if window:
        when = f"{window['n_volumes']} volumes from {window['start_s']:g} s after onset, TR {note['tr_s']:g} s"
    elif model:
        when = f"single-trial betas by {model['method'].upper()}, {model['hrf']} haemodynamic response"
    else:
        when = "single-trial betas as published"
    where = "/".join(path.parts[-4:-1])
    return (
        f"{where}: {note['shape'][0]} trials, {note['shape'][-1]} {note['space']} columns ({note['n_masked']} without "
        f"signal left out); {when}; {note['units']}"
    )
