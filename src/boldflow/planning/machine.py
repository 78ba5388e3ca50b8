"""What of the machine and the command line stops a run before any job: the project's path, and what became of names."""

import os
import re
import sys
from collections.abc import Sequence

# Snakemake writes the path of its Python and of conda's environments into commands of a shell without quotes.
SPECIAL = re.compile(r"[\s'\"`()\[\]{}<>$&;|*?!#~\\]")


def place_problems(executable: str = sys.executable, folder: str | None = None, uses_conda: bool = False) -> list[str]:
    """Say why jobs could not be started from here: a path that a shell takes apart.

    Parameters
    ----------
    executable : the Python that runs Snakemake
    folder : the working folder; by default this process's
    uses_conda : whether jobs run in environments of conda, which lie below the working folder
    """
    paths = {"the Python that runs Snakemake": executable}
    if uses_conda:
        paths["the working folder, in which conda's environments lie,"] = os.getcwd() if folder is None else folder
    return [
        f"{name} lies in {path!r}, and a shell takes {match[0]!r} in a path for something else: move the project to a "
        "path without blanks, quotes and brackets (or install .venv in such a one and put its bin on the PATH)"
        for name, path in paths.items()
        if (match := SPECIAL.search(path))
    ]


def name_problems(study: object, words: Sequence[str] = sys.argv) -> list[str]:
    """Say what became of a study's name where the command line made a number or another value of it."""
    if isinstance(study, str):
        return []
    written = next((word.partition("=")[2] for word in reversed(words) if word.startswith("study=")), None)
    name = (written or str(study)).strip("'\"")
    origin = "the command line" if written else "YAML"
    # Snakemake takes quotes off before it looks for numbers
    quoted_text = f'--config "study=!!str {name}"' if written else f"study: '{name}'"
    return [
        f"study: {origin} made {study!r} ({type(study).__name__}) of {name}; write {quoted_text}, so that it stays a "
        f"name, or give its path: --config study=config/studies/{name}.yaml"
    ]
