"""Studies by name: their files, read and checked once, and the results that each asks for."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from boldflow import catalogue
from boldflow.planning.tables import StudyTables
from boldflow.registry import Config, nearest
from boldflow.runs import checksums
from boldflow.vocabulary.results import NONE, ResultKey


@dataclass
class Studies:
    """Studies of the project, and one of the user's own.

    Attributes
    ----------
    config, schemas : the catalogue and the JSON schemas
    files : the file of each study, by its name
    read : reads a study's file; a ``ValueError`` says that it is not YAML
    check : lists what is wrong with a study
    stop : ends parsing, told the place and a list of problems
    memory : where the files of studies are remembered that were given by a path; None for nowhere
    """

    config: Config
    schemas: Config
    files: dict[str, Path]
    read: Callable[[Path], Any]
    check: Callable[[Any], list[str]]
    stop: Callable[[object, list[str]], NoReturn]
    memory: Path | None = None
    _studies: dict[str, Config] = field(default_factory=dict)
    _results: dict[str, list[ResultKey]] = field(default_factory=dict)
    _tables: dict[str, StudyTables] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Add the files of studies that were given by a path before: their results are known by name alone."""
        for name, path in self._remembered().items():
            if name not in self.files and Path(path).is_file():
                self.files[name] = Path(path)

    def of_name(self, name: str) -> Config:
        """Read and check a study's file once."""
        if name not in self._studies:
            if name not in self.files:
                self.stop("config key study", [f"no study {name!r}; {nearest(name, self.files)}"])
            try:
                study = self.read(self.files[name])
            except ValueError as error:
                self.stop(self.files[name], [f"not YAML: {error}"])
            problems = self.check(study)
            if problems:
                self.stop(self.files[name], problems)
            self._studies[name] = {"description": "", "figures": [], **study, "name": name}
        return self._studies[name]

    def choose(self, name: str) -> str:
        """Name the study of this run; a path to a file of one's own becomes a study of that file's name."""
        if name.endswith((".yaml", ".yml")):
            path = Path(name)
            if not path.is_file():
                self.stop("config key study", [f"there is no file {name!r}; {nearest(path.stem, self.files)}"])
            known_file = self.files.get(path.stem, path)
            if known_file.resolve() != path.resolve():
                problem = (
                    f"{name!r} has the name of a study that exists, {path.stem!r} ({known_file}), and both would write "
                    f"results/studies/{path.stem}: rename the file"
                )
                self.stop("config key study", [problem])
            self.files[path.stem] = path
            self._remember(path)
            name = path.stem
        self.of_name(name)
        return name

    def _remembered(self) -> dict[str, str]:
        return (checksums.read_json(self.memory) if self.memory is not None else None) or {}

    def _remember(self, path: Path) -> None:
        remembered = self._remembered()
        entry = {path.stem: str(path.absolute())}
        if self.memory is not None and not entry.items() <= remembered.items():
            with contextlib.suppress(OSError):  # a folder that may only be read: then its path must be given again
                checksums.write_json(self.memory, remembered | entry)

    def results(self, name: str) -> list[ResultKey]:
        """List a study's results, once for all that ask."""
        if name not in self._results:
            self._results[name] = catalogue.expand(self.config, self.of_name(name))
        return self._results[name]

    def by_subject(self, name: str) -> list[ResultKey]:
        """List a study's results with one subject each: what comes before models is each subject's own."""
        return catalogue.by_subject(self.config, self.results(name))

    def rivals(self, name: str) -> list[ResultKey]:
        """List a study's encoders that have another to be compared with: of one subject, responses and split."""
        groups = catalogue.rivals(self.config, self.schemas, self.results(name))
        return [result for group in groups for result in group]

    def coded(self, name: str) -> list[ResultKey]:
        """List the results of a study whose codes are asked for a class; none where the study asks nothing."""
        asks = "latents" in self.of_name(name)
        return catalogue.represented(self.config, self.schemas, self.results(name)) if asks else []

    def asked_of_codes(self, name: str) -> Config:
        """Give what a study asks of codes, defaults filled in; empty where it asks nothing."""
        return catalogue.latents(self.of_name(name), self.schemas)

    def matched(self, name: str) -> list[ResultKey]:
        """List the results of a study whose units are matched; none where it asks for none."""
        models = self.asked_of_codes(name).get("match", [])
        return [result for result in self.coded(name) if result.model in models]

    def tables(self, name: str) -> StudyTables:
        """Say where the tables of a study are that its figures and its report need, once for all that ask."""
        if name not in self._tables:
            self._tables[name] = StudyTables(self.config, self.schemas, self.of_name(name), self.results(name))
        return self._tables[name]

    def paths(self, pattern: str, name: str) -> list[str]:
        """Fill a pattern for each result of a study, each path once, in the study's order.

        What comes before models is each subject's own, where subjects are pooled too; there are no files of no
        responses and of no feature.
        """
        results: Iterable[ResultKey] = self.results(name) if "{model}" in pattern else self.by_subject(name)
        if "{model}" not in pattern:
            if "{response}" in pattern:
                results = [result for result in results if result.response != NONE]
            if "{feature}" in pattern:
                results = [result for result in results if result.feature != NONE]
        return each_once(filled(pattern, result) for result in results)


def study_files(folder: Path, stop: Callable[[object, list[str]], NoReturn]) -> dict[str, Path]:
    """Give the file of each study of a folder, by its name; two of one name stop parsing."""
    files: dict[str, Path] = {}
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        first_file = files.setdefault(path.stem, path)
        if first_file != path:
            problem = f"two studies are called {path.stem!r}: {first_file.name} and {path.name}; rename one"
            stop(folder, [problem])
    return files


def filled(pattern: str, result: ResultKey, **more: str) -> str:
    """Put the names of a result into a pattern."""
    return pattern.format(**vars(result), **more)


def each_once(paths: Iterable[str]) -> list[str]:
    """List paths in their order, each once."""
    return list(dict.fromkeys(paths))
