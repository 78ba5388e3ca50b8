"""Drawn figures (PDF, SVG, PNG): the provenance that ``stages.studies.draw_figure`` puts inside each file."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

SUFFIXES = (".pdf", ".svg", ".png")
DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
# a PDF string: escaped characters, or any other than a closing bracket (matplotlib escapes those inside)
SUBJECT = re.compile(rb"/Subject \(((?:\\.|[^\\)])*)\)", re.DOTALL)
ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def note(path: str | Path) -> dict[str, Any]:
    """Read the provenance inside a figure.

    Returns
    -------
    dict
        ``figure`` (its catalogue entry), ``code``, ``simulated`` and ``tables`` (SHA-256 by name).

    Raises
    ------
    ValueError
        If the file is not whole, or holds no such note; names it.
    """
    read = {".pdf": _of_pdf, ".svg": _of_svg, ".png": _of_png}[Path(path).suffix]
    try:
        provenance = json.loads(read(Path(path)))
    except (ValueError, OSError, KeyError, SyntaxError) as error:
        if not Path(path).is_file():
            raise
        size = Path(path).stat().st_size
        raise ValueError(f"{path} ({size} bytes) holds no provenance of boldflow: {error}") from None
    if not isinstance(provenance, dict):
        raise ValueError(f"{path} holds a {type(provenance).__name__} as its provenance, expected an object")
    return provenance


def _of_png(path: Path) -> str:
    with Image.open(path) as image:
        return str(image.info["Description"])


def _of_svg(path: Path) -> str:
    element = ElementTree.parse(path).find(f".//{DESCRIPTION}")
    if element is None or not element.text:
        raise ValueError("no description in its metadata")
    return element.text


def _of_pdf(path: Path) -> str:
    match = SUBJECT.search(path.read_bytes())
    if match is None:
        raise ValueError("no subject among its properties")
    text = ESCAPE.sub(_unescaped, match[1])
    # PDF writes text that is not ASCII as UTF-16 with a mark in front
    return text.decode("utf-16") if text.startswith((b"\xfe\xff", b"\xff\xfe")) else text.decode("latin-1")


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8)]) if code.isdigit() else ESCAPED.get(code, code)
