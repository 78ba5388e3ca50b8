"""The diagrams of docs/architecture.md, drawn from the code; ``python -m tests.made.architecture`` writes them anew.

Rooms are the packages of ``src/boldflow``: an arrow says that one imports the other, unless a longer way of arrows says
so already. Rules are those that run a script: an arrow says that a job of one reads what a job of the other makes, in
studies that between them have every rule.
"""

import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, Project, copy_project

PAGE = ROOT / "docs" / "architecture.md"
SOURCE = ROOT / "src" / "boldflow"
# studies that have all rules between them, with an entry whose pictures are spread over shards
STUDIES = ("encoding-tiny", "sae-tiny", "neuralbench")
GIANT = "dinov2-giant-224: {plugin: dinov2, "
# what each room holds, in a few words
ROOMS = {
    "commands": "python -m boldflow check, new, why, verify, estimate, doctor",
    "stages": "one module per rule: read, compute, write",
    "report": "the page",
    "datasets": "plug-ins",
    "features": "plug-ins",
    "models": "plug-ins",
    "figures": "plug-ins",
    "core": "arrays in, arrays out",
    "artifacts": "formats on disk",
    "drawing": "matplotlib",
    "validation": "what is wrong with a catalogue or study",
    "planning": "paths, inputs, resources of a study",
    "catalogue": "entries with defaults, what a rule reads of them",
    "registry": "which plug-ins there are, their literals",
    "settings": "entries and facts as records",
    "symbols": "digests of definitions",
    "provenance": "canonical text, digests",
    "runs": "who is at work in this folder",
    "vocabulary": "words that several rooms share",
}
Pairs = set[tuple[str, str]]


def imports_between_rooms() -> Pairs:
    """Pairs of rooms of which the first imports the second."""
    pairs = set()
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        pairs |= {(room, other) for other in _imported_rooms(path)}
    return {(room, other) for room, other in pairs if room != other and {room, other} <= set(rooms())}


def rooms() -> list[str]:
    """Packages and modules below ``src/boldflow``."""
    names = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")}
    return sorted(name for name in names if not name.startswith("__"))


def _imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("boldflow."))


def shortest(pairs: Pairs) -> Pairs:
    """Leave out each pair that a longer way of other pairs connects."""
    return {pair for pair in pairs if pair[1] not in _reached(pairs - {pair}, pair[0])}


def _reached(pairs: Pairs, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        place = waiting.pop()
        waiting += [second for first, second in pairs if first == place and second not in reached]
        reached |= {second for first, second in pairs if first == place}
    return reached


def jobs(project: Project, study: str) -> list[dict[str, Any]]:
    """Jobs of a study, finished or not, as the workflow of a copy of the project gives them."""
    question = json.dumps({"targets": [], "config": [f"study={study}"]})
    command = [sys.executable, "workflow/tools/plan.py", question]
    answer = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True).stdout
    return list(json.loads(answer)["jobs"])


def flows_between_rules(project: Project) -> Pairs:
    """Pairs of rules of which the second reads what the first makes; the copy's catalogue is changed."""
    project.edit("config/config.yaml", GIANT, f"{GIANT}shards: 2, ")
    pairs: Pairs = set()
    for study in STUDIES:
        adapters = {path.stem for path in (project.folder / "workflow" / "scripts").glob("*.py")}
        planned = [job for job in jobs(project, study) if job["rule"] in adapters]
        maker = {path: job["rule"] for job in planned for path in job["output"]}
        pairs |= {(maker[path], job["rule"]) for job in planned for path in job["input"] if path in maker}
    return pairs


def mermaid(pairs: Iterable[tuple[str, str]], words: dict[str, str] | None = None) -> str:
    """Write a diagram, from above to below."""
    texts = [f'    {name}["{name}: {text}"]' for name, text in (words or {}).items()]
    arrows = [f"    {first} --> {second}" for first, second in sorted(pairs)]
    return "\n".join(["```mermaid", "flowchart TD", *texts, *arrows, "```"])


def diagrams() -> list[str]:
    """Draw both diagrams: rooms, rules."""
    words = {room: ROOMS[room] for room in ROOMS if room in rooms()}
    with tempfile.TemporaryDirectory() as place:
        flows = flows_between_rules(copy_project(Path(place) / "project"))
    return [mermaid(shortest(imports_between_rooms()), words), mermaid(shortest(flows))]


def main() -> None:
    """Put both diagrams into the page in place of those that stand there."""
    parts = PAGE.read_text(encoding="utf-8").split("```")
    parts[1::2] = [diagram.removeprefix("```").removesuffix("```") for diagram in diagrams()]
    PAGE.write_text("```".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
