"""A copy of the project whose nsd-tiny is fetched from a look-alike of NSD's bucket."""

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.conftest import Project, copy_project
from tests.made import loopback, nsd

STUDY = ("--config", "study=made")
RECEIPT = "resources/receipts/nsd-tiny/{}/{}.json"


class Fetching(Project):
    """A copy of the project, and its study ``made``."""

    def run(self, *targets: str, check: bool = True) -> "CompletedProcess[str]":
        """Make targets of the study, from this machine's loopback alone."""
        variables = {
            **loopback.allowed(), "BOLDFLOW_FETCH_BACKOFF_S": "0.05", "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip
        return self.snakemake(*targets, *STUDY, check=check, **variables)

    def receipt(self, subject: str, recording: str) -> dict[str, Any]:
        """Read the rows of a receipt by path."""
        rows = json.loads((self.folder / RECEIPT.format(subject, recording)).read_text())["files"]
        return {row["path"]: row for row in rows}


def copied(folder: Path, bucket: nsd.Bucket, study: str) -> Fetching:
    """Copy the project, with a study, YAML text, that is named ``made``."""
    copy = Fetching(copy_project(folder).folder)
    copy.edit("config/config.yaml", f"http://127.0.0.1:{nsd.PORT}/{nsd.BUCKET}/{{path}}", bucket.public_url)
    (folder / "config/studies/made.yaml").write_text(study)
    return copy
