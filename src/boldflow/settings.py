"""What a job is told of a catalogue entry: the keys that its rule reads, and no other. Standard library only."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

Facts = TypeVar("Facts")


class NotHandedError(LookupError):
    """A key of an entry was asked for that is not among those which its rule says it reads."""


@dataclass(frozen=True, eq=False)
class Entry(Mapping[str, Any]):
    """A catalogue entry as one rule reads it; it cannot be changed.

    Parameters
    ----------
    keys_handed
        With None for a key that is not set and has no default: it counts as absent.
    section, rule
        Of an entry of which one rule's keys alone are handed: to ask for another, by ``get`` or ``in`` too, is a
        ``NotHandedError``. Without ``rule`` the entry is whole, and a key that is not there is not set.

    Examples
    --------
    >>> entry = Entry({"name": "ridge-wide", "plugin": "ridge", "alphas": [500], "n_folds": None})
    >>> entry.name, entry.plugin, entry["alphas"], entry.get("n_folds", 5), "n_folds" in entry
    ('ridge-wide', 'ridge', [500], 5, False)
    """

    keys_handed: Mapping[str, Any]
    section: str = ""
    rule: str = ""

    @property
    def name(self) -> str:
        """The entry's name in the catalogue."""
        return str(self["name"])

    @property
    def plugin(self) -> str:
        """Name of the entry's plug-in."""
        return str(self["plugin"])

    def __getitem__(self, key: str) -> Any:
        """Give the value of a key that is set."""
        if self.rule and key not in self.keys_handed:
            raise NotHandedError(self._not_handed(key))
        value = self.keys_handed.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        """Name the keys that are set."""
        return (key for key, value in self.keys_handed.items() if value is not None)

    def __len__(self) -> int:
        """Count the keys that are set."""
        return sum(1 for _ in self)

    def but(self, **changed: Any) -> "Entry":
        """Give the entry with other values of some keys."""
        return replace(self, keys_handed={**self.keys_handed, **changed})

    def _not_handed(self, key: str) -> str:
        plugin = self.keys_handed.get("plugin")
        home = f"plug-in src/boldflow/{self.section}/{plugin}" if plugin else "src/boldflow/catalogue.py"
        return (
            f"key {key!r} of {self.section}.{self.keys_handed.get('name')} is not handed to rule {self.rule}, which "
            f"reads {sorted(self.keys_handed)}: add it to READS[{self.rule!r}] of {home}"
        )


def read_entry(text: str) -> Entry:
    """Read a catalogue entry as the workflow hands it: a line of JSON; ``section`` and ``rule`` are beside its keys."""
    keys = json.loads(text)
    return Entry(section=keys.pop("section", ""), rule=keys.pop("rule", ""), keys_handed=keys)


def read_facts(text: str, record: type[Facts]) -> Facts:
    """Read the facts of a plug-in that the workflow hands as text: those that a frozen record of the stage has."""
    return of_record(json.loads(text), record)


def read_facts_by_name(text: str, record: type[Facts]) -> dict[str, Facts]:
    """Read the facts of several plug-ins, by the name of their entry, as ``read_facts`` does."""
    return {name: of_record(stated, record) for name, stated in json.loads(text).items()}


def of_record(stated: Mapping[str, Any], record: type[Facts]) -> Facts:
    """Take what a record has of what the workflow states; one with a default may be missing."""
    names = [field.name for field in fields(record)]  # type: ignore[arg-type]
    return record(**{name: stated[name] for name in names if name in stated})


def read_settings(text: str) -> dict[str, Any]:
    """Read what else the workflow hands as text, one line of JSON (of an entry: ``read_entry``)."""
    mapping: dict[str, Any] = json.loads(text)
    return mapping
