"""Features in tests: an entry with every default filled in; networks have random weights, since none can be fetched."""

from pathlib import Path

import numpy as np

from boldflow import catalogue, registry
from boldflow.core.pictures import vision
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")


def entry(plugin: str, name: str | None = None, **given):
    """Give the settings of an entry, as a job gets them."""
    opens = registry.literal("features", plugin, "FACTS")["checkpoint"]
    named = {"plugin": plugin, **({"weights": "untrained"} if opens else {}), **given}
    name = name or plugin.replace("_", "-")
    return catalogue.settings({"features": {name: named}}, SCHEMAS, "features", name)


def opened(plugin: str, folder: Path | None = None, **given):
    """Open a feature's extractor on the CPU."""
    return registry.load("features", plugin).extractor(entry(plugin, **given), folder, "cpu")


def described(plugin: str, images, folder: Path | None = None, **given) -> np.ndarray:
    """Describe pictures by a feature."""
    return vision.describe(opened(plugin, folder, **given), images)
