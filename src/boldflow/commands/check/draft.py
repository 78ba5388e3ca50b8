"""The catalogue's entry of a folder: what was said of it, and guesses for what was not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from boldflow import catalogue, registry, validation
from boldflow.artifacts.formats import bids
from boldflow.commands.check import guesses
from boldflow.commands.check.guesses import Guess
from boldflow.settings import Entry

CONFIG, SCHEMAS = Path("config/config.yaml"), Path("workflow/schemas")
# Without a value for one of these nothing can be read; the option that names each.
NEEDED = {"subjects": "--subjects", "image_column": "--image-column", "tr_s": "--set tr_s=SECONDS"}
UNKNOWN_TR_S = 1.0  # stands in an entry whose repetition time nothing states, so that other keys can be checked


class WrongUseError(ValueError):
    """What was asked for cannot be: an option, or where the command was started."""


@dataclass(frozen=True)
class Draft:
    """An entry of the catalogue, as it would be written, and what lies behind it.

    ``keys`` are those that would be written; ``guesses`` those of them that nobody said, or that could not be guessed.
    ``config`` is the project's catalogue with the entry in it.
    """

    name: str
    keys: Mapping[str, Any]
    guesses: list[Guess]
    config: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def root(self) -> Path:
        """The BIDS folder."""
        return Path(self.keys["folder"])

    @property
    def entry(self) -> Entry:
        """The entry with its defaults."""
        return Entry(catalogue.settings(self.config, self.schemas, "datasets", self.name))

    def setting(self, section: str, name: str) -> Entry:
        """Give another entry of the catalogue with its defaults."""
        return Entry(catalogue.settings(self.config, self.schemas, section, name))

    @property
    def missing(self) -> list[Guess]:
        """Keys that are needed, were not said and could not be guessed."""
        return [guess for guess in self.guesses if guess.value is None and guess.key in NEEDED]


def make(name: str, folder: str, keys_said: Mapping[str, Any]) -> Draft:
    """Make the entry of a folder.

    Parameters
    ----------
    name : str
        Of the entry.
    folder : str
        The BIDS folder.
    keys_said : mapping
        Keys of the entry that the user says.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    WrongUseError
        If the command was not started in the project's folder, or a key is none of the plug-in's.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    config, schemas = read_config()
    keys = {"plugin": "bids", "folder": str(root.resolve()), **keys_said}
    made: list[Guess] = []
    for guess in _guesses(root.resolve(), keys):
        made.append(guess)
        if guess.value is not None:
            keys[guess.key] = guess.value
    keys_checked = {"subjects": ["sub-unknown"], "image_column": "unknown", "tr_s": UNKNOWN_TR_S} | keys
    draft = Draft(name, keys, made, _with(config, name, keys_checked), schemas)
    prefix = f"datasets.{name}"
    problems = validation.config_problems(draft.config, schemas, Draft202012Validator)
    of_entry = [problem for problem in problems if problem.startswith((prefix, "datasets: found"))]
    if of_entry:
        raise WrongUseError("; ".join(of_entry))
    if "tr_s" in keys or not keys.get("subjects"):
        return draft
    tr_guess = guesses.tr_s(draft.root, draft.entry)
    stated = {"tr_s": tr_guess.value} if tr_guess and tr_guess.value else {}
    return Draft(
        name,
        keys | stated,
        [*made, *([tr_guess] if tr_guess else [])],
        _with(config, name, keys_checked | stated),
        schemas,
    )


def read_config() -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the project's catalogue and schemas.

    Raises
    ------
    WrongUseError
        If the working folder is not the project's.
    """
    if not (CONFIG.is_file() and SCHEMAS.is_dir()):
        raise WrongUseError(f"{CONFIG} does not exist here ({Path.cwd()}); start the command in the project's folder")
    return yaml.safe_load(CONFIG.read_text(encoding="utf-8")), registry.read_schemas(SCHEMAS)


def _with(config: Mapping[str, Any], name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The catalogue with an entry of this name."""
    return {**config, "datasets": {**config["datasets"], name: dict(keys)}}


def _guesses(root: Path, keys: dict[str, Any]) -> Iterator[Guess]:
    """Guess the keys that were not said; ``keys`` grows meanwhile by those that come before."""
    simple = {
        "subjects": guesses.subjects,
        "derivatives": guesses.derivatives,
        "stimuli_root": guesses.stimuli_root,
    }
    for key, guess in simple.items():
        if key not in keys:
            yield guess(root)
    tables = guesses.columns(root)
    if "task" in keys and keys["task"] != "*":
        tables = [table for table in tables if table.task in (keys["task"], "")]
    yield from (
        guess
        for guess in guesses.image_column(tables, _pictures(keys), keys.get("image_column"), keys.get("image_name"))
        if guess.key not in keys
    )
    if "task" not in keys:
        yield guesses.task(tables, keys.get("image_column", ""))
    if "space" not in keys:
        yield guesses.space(root, keys["derivatives"])


def _pictures(keys: Mapping[str, Any]) -> list[str]:
    """Files of pictures, where there is a folder of them."""
    folder = Path(str(keys.get("stimuli_root", ""))).expanduser()
    try:
        return bids.pictures(folder) if "stimuli_root" in keys and folder.is_dir() else []
    except FileNotFoundError:
        return []
