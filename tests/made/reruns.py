"""What reruns after an edit, by digests alone: of each function, and of each of the last commits.

``python -m tests.made.reruns [--as-at COMMIT] [--commits N --until COMMIT]`` prints how many of the pairs of rule and
plug-in get another digest, and how many edits train some model again; ``--as-at``: also of the tree of a commit, and of
the functions of now that have their like there.
"""

import argparse
import ast
import io
import re
import statistics
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from boldflow.symbols.modules import Module
from boldflow.symbols.package import Package
from boldflow.symbols.reach import Reach
from boldflow.symbols.rules import definitions_in

PROJECT = Path(__file__).resolve().parents[2]
TRAIN = "train_model"
RULE = re.compile(r"^rule (\w+):(.*?)(?=^rule |\Z)", re.M | re.S)
PLUGIN = re.compile(r'code_of\([^)]*?plugin=\("(\w+)"', re.S)

Pair = tuple[str, str | None]


def pairs(project: Path = PROJECT) -> list[Pair]:
    """List each rule that carries a digest with each plug-in that its entry may have, or None."""
    rules = {}
    for file in sorted((project / "workflow/rules").glob("*.smk")):
        for name, block in RULE.findall(file.read_text()):
            if "code_of(" in block:
                section = PLUGIN.search(block)
                rules[name] = section[1] if section else None
    return [(rule, plugin) for rule, section in rules.items() for plugin in plugins(project, section)]


def plugins(project: Path, section: str | None) -> list[str | None]:
    """List the plug-ins of a section as modules: files and packages."""
    if section is None:
        return [None]
    folder = project / "src/boldflow" / section
    stems = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return [f"boldflow.{section}.{stem}" for stem in sorted(stems) if not stem.startswith("_")]


def all_definitions(project: Path = PROJECT, reach: Reach | None = None) -> dict[Pair, dict[str, str]]:
    """Digest what each pair may run, by definition."""
    reach = reach or Reach(Package(project / "src/boldflow"))
    return {pair: definitions_in(reach, *pair) for pair in pairs(project)}


def functions(project: Path = PROJECT) -> Iterator[tuple[str, str, str]]:
    """Yield module, qualified name and outermost definition of each function of the package."""
    root = project / "src"
    for file in sorted((root / "boldflow").rglob("*.py")):
        module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        yield from ((module, *names) for names in _inside(ast.parse(file.read_bytes()).body, ()))


def _inside(lines: Iterable[ast.AST], around: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for node in lines:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = (*around, node.name)
            if not isinstance(node, ast.ClassDef):
                yield ".".join(names), names[0]
            yield from _inside(ast.iter_child_nodes(node), names)
        else:
            yield from _inside(ast.iter_child_nodes(node), around)


def changed_by(maps: Mapping[Pair, Mapping[str, str]], module: str, definition: str) -> list[Pair]:
    """List the pairs whose digest an edit of a definition changes."""
    return [pair for pair, codes in maps.items() if f"{module}:{definition}" in codes]


def per_function(project: Path, kept: frozenset[str] | None = None) -> list[list[Pair]]:
    """List for each function of the package, or for those of some names, the pairs that its edit changes."""
    maps = all_definitions(project)
    rows = [row for row in functions(project) if kept is None or row[1] in kept]
    return [changed_by(maps, module, definition) for module, _, definition in rows]


def said(edits: list[list[Pair]]) -> str:
    """Write what edits change."""
    n_pairs = statistics.mean(map(len, edits))
    n_rules = statistics.mean(len({rule for rule, _ in edit}) for edit in edits)
    n_models = statistics.mean(sum(rule == TRAIN for rule, _ in edit) for edit in edits)
    share = statistics.mean(any(rule == TRAIN for rule, _ in edit) for edit in edits)
    return (
        f"{len(edits)} edits: {n_pairs:.1f} pairs, {n_rules:.2f} rules, {n_models:.2f} models trained again; "
        f"{100 * share:.1f} % train some model ({round(share * len(edits))})"
    )


def to_blame(project: Path, n: int = 25) -> list[str]:
    """Name the modules whose functions train models again, most of them first, and those that change most pairs."""
    maps = all_definitions(project)
    training: dict[str, int] = {}
    total: dict[str, int] = {}
    for module, _, definition in functions(project):
        edit = changed_by(maps, module, definition)
        training[module] = training.get(module, 0) + any(rule == TRAIN for rule, _ in edit)
        total[module] = total.get(module, 0) + len(edit)
    top = [sorted(counts.items(), key=lambda row: -row[1])[:n] for counts in (training, total)]
    return [f"{a:<52}{x:>4}   {b:<52}{y:>5}" for (a, x), (b, y) in zip(*top, strict=True)]


def checkout(commit: str, folder: Path) -> Path:
    """Write the files of a commit to a folder."""
    command = ["git", "archive", commit, "src/boldflow", "workflow"]
    archive = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def per_commit(n: int, until: str) -> list[list[Pair]]:
    """List the pairs whose digest each of the last commits to the package changed; pairs that were new do not count."""
    command = ["git", "log", "--format=%H", "--no-merges", f"-{n}", until, "--", "src/boldflow"]
    commits = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    edits = []
    with tempfile.TemporaryDirectory() as folder:
        trees: dict[str, dict[Pair, dict[str, str]]] = {}
        for commit in commits:
            before = subprocess.run(
                ["git", "rev-parse", f"{commit}~1"], cwd=PROJECT, capture_output=True, text=True, check=True
            ).stdout.strip()
            for name in (commit, before):
                if name not in trees:
                    project = checkout(name, Path(folder) / name)
                    trees[name] = all_definitions(project, Reach(Shared(project / "src/boldflow")))
            old, new = trees[before], trees[commit]
            edits.append([pair for pair in new if pair in old and old[pair] != new[pair]])
    return edits


class Shared(Package):
    """A package of which modules are recalled by content from all trees before it."""

    seen: ClassVar[dict[tuple[str, str], Module]] = {}

    def _recalled(self, name: str, content: str) -> Module | None:
        return self.seen.get((name, content))

    def module(self, name: str) -> Module:
        module = super().module(name)
        self.seen[name, module.source] = module
        return module


def main() -> None:
    """Print both measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-at", help="a commit: count only functions whose names it has")
    parser.add_argument("--commits", type=int, default=0)
    parser.add_argument("--until", default="HEAD")
    parser.add_argument("--blame", action="store_true")
    chosen = parser.parse_args()
    print(f"{len(pairs())} pairs of rule and plug-in; all functions: {said(per_function(PROJECT))}")
    if chosen.as_at:
        with tempfile.TemporaryDirectory() as folder:
            before = checkout(chosen.as_at, Path(folder))
            print(f"that tree: {said(per_function(before))}")
            names = frozenset(name for _, name, _ in functions(before))
        print(f"functions of the names that it has: {said(per_function(PROJECT, names))}")
    if chosen.blame:
        print("\n".join(to_blame(PROJECT)))
    if chosen.commits:
        print(
            f"the last {chosen.commits} commits until {chosen.until}: {said(per_commit(chosen.commits, chosen.until))}"
        )


if __name__ == "__main__":
    main()
