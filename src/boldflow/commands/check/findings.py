"""What checks say, collected: a check that raises is noted with its place, and the next one goes on."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Of what a finding is; empty where it is of all. ``file`` is relative to the folder, or a full path."""

    subject: str = ""
    run: str = ""
    file: str = ""


@dataclass(frozen=True)
class Finding:
    """A sentence of a check with the value that stands there, and what helps; ``stops`` a study, or may mislead one."""

    place: Place
    sentence: str
    remedy: str
    stops: bool = True


@dataclass
class Findings:
    """All findings in a folder, each sentence once, in the order in which they were made."""

    folder: Path
    rows: list[Finding] = field(default_factory=list)

    def add(self, place: Place, sentence: str, remedy: str, stops: bool = True) -> None:
        """Note a sentence; where the place names no file, the first one below the folder that the sentence names."""
        if sentence not in [row.sentence for row in self.rows]:
            file = place.file or _file_in(sentence, self.folder)
            self.rows.append(Finding(Place(place.subject, place.run, file), sentence, remedy, stops))

    @contextlib.contextmanager
    def at(self, place: Place, remedy: str, stops: bool = True) -> Iterator[list[str]]:
        """Note what a check raises, and go on after the block; what stages would log as a warning is one here.

        Yields
        ------
        list of str
            Empty; after the block it holds the sentence, if the check raised one.
        """
        sentences: list[str] = []
        with self._warnings(place, remedy):
            try:
                yield sentences
            except (ValueError, OSError) as error:
                sentences.append(str(error))
                self.add(place, str(error), remedy, stops)

    @property
    def problems(self) -> list[Finding]:
        """What would stop a study."""
        return [row for row in self.rows if row.stops]

    @property
    def warnings(self) -> list[Finding]:
        """What would go through, and may mislead."""
        return [row for row in self.rows if not row.stops]

    @contextlib.contextmanager
    def _warnings(self, place: Place, remedy: str) -> Iterator[None]:
        logger = logging.getLogger("boldflow")
        state = logger.handlers, logger.propagate
        logger.handlers, logger.propagate = [_Listener(self, place, remedy)], False  # the innermost block alone listens
        try:
            yield
        finally:
            logger.handlers, logger.propagate = state


class _Listener(logging.Handler):
    """Notes the warnings of stages."""

    def __init__(self, findings: Findings, place: Place, remedy: str) -> None:
        super().__init__(logging.WARNING)
        self.findings, self.place, self.remedy = findings, place, remedy

    def emit(self, record: logging.LogRecord) -> None:
        self.findings.add(self.place, record.getMessage(), self.remedy, stops=False)


def _file_in(sentence: str, folder: Path) -> str:
    """Give the first file below the folder that a sentence names, relative to it."""
    start = sentence.find(f"{folder}/") + len(f"{folder}/")
    if start >= len(f"{folder}/"):  # names of files may hold blanks
        ends = [match.start() for match in re.finditer(r"[,;:)]?(\s|$)", sentence) if match.start() > start]
        for end in reversed(ends):
            if os.path.isfile(folder / sentence[start:end]):
                return sentence[start:end]
    for word in re.split(r"[,;:()'\"]*(?:\s|$)[('\"]*", sentence):
        path = folder / word
        if word and path.is_relative_to(folder) and os.path.lexists(path) and not path.is_dir():
            return path.relative_to(folder).as_posix()
    return ""
