"""What tests of figures share: settings, subjects, and all texts of a figure."""

from boldflow import registry
from boldflow.drawing.tables import Tables
from tests.made.features import SCHEMAS
from tests.made.meshes import hemispheres


def defaults(name, **changed):
    """Give a figure's settings with every default filled in."""
    keys = registry.entry_schema(SCHEMAS, "figures", name)["properties"]
    return {key: schema["default"] for key, schema in keys.items() if "default" in schema} | changed


def tables_of(content):
    """Hand tables as a figure gets them: of a mapping, pictures under ``images``; with meshes."""
    frames = {name: table for name, table in content.items() if name != "images"}
    return Tables(frames, content.get("images", {}), hemispheres())


def subjects(n):
    """Name subjects."""
    return [f"sub-{k + 1:02d}" for k in range(n)]


def texts(figure):
    """Give all texts that are shown: free ones, titles, labels and ticks."""
    found = list(figure.texts)
    for axes in figure.axes:
        found += axes.texts
        if axes.axison:
            low, high = axes.get_xlim()
            ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            found += [label for place, label in ticks if low <= place <= high]
            found += [axes._left_title, axes.xaxis.label, *axes.get_yticklabels()]
    return [text for text in found if text.get_text().strip()]
