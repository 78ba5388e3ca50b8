"""``python -m boldflow config-page``: config/README.md as the schemas describe it."""

from pathlib import Path

from boldflow import registry
from boldflow.report import config_page as page


def config_page() -> str:
    """Write config/README.md from the schemas of the working folder."""
    return page.render(registry.read_schemas(Path("workflow") / "schemas"))
