"""Section of figures: each inside the page, with its caption and a text for those who do not see it."""

import base64
import struct
from dataclasses import dataclass

from boldflow.report.cells import SIMULATED

NEEDS = ["figures"]
CSS_DPI, FIGURE_DPI = 96, 160
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Drawing:
    """A figure of the study: its PNG and what is said of it."""

    name: str
    title: str
    caption: str
    png: bytes
    simulated: bool


@dataclass(frozen=True)
class Figure:
    """A figure of the page; ``source`` is an address that holds the picture itself; sizes are in CSS pixels."""

    name: str
    title: str
    caption: str
    alt: str
    mark: str
    source: str
    width: int
    height: int


def figure_of(drawing: Drawing) -> Figure:
    """Put a figure into the page.

    Raises
    ------
    ValueError
        If it is not a PNG.
    """
    png = drawing.png
    if not png.startswith(PNG) or len(png) < 24:
        raise ValueError(f"figure {drawing.name}: expected the bytes of a PNG, found {png[:8]!r}")
    width_px, height_px = struct.unpack(">II", png[16:24])
    scale = CSS_DPI / FIGURE_DPI
    mark = SIMULATED if drawing.simulated else ""
    return Figure(
        name=drawing.name,
        title=drawing.title,
        caption=drawing.caption,
        alt=f"{f'{mark}. ' if mark else ''}{drawing.title}. {drawing.caption}",
        mark=mark,
        source="data:image/png;base64," + base64.b64encode(png).decode("ascii"),
        width=round(width_px * scale),
        height=round(height_px * scale),
    )
