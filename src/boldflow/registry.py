"""Which plug-ins there are, what they must have, and their literals and schemas.

Standard library only, since the Snakefile imports it and is parsed again in every job. A plug-in's literals
(``FACTS``, ``SETTINGS``, ``READS``, ``NEEDS``) are read from its syntax tree, so that parsing never imports numpy.
"""

import ast
import difflib
import functools
import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

PACKAGE = Path(__file__).resolve().parent

# Functions that a plug-in must have, by section; which facts, says boldflow.vocabulary.facts.
CONTRACT: dict[str, tuple[str, ...]] = {
    "datasets": ("source", "files_needed", "trials", "stimuli", "runs", "rois", "sizes"),
    "features": ("extractor",),
    "models": ("fit", "predict"),
    "figures": ("source_table", "draw"),
}
# Keys that plug-ins of one fact share: the fact, the section, and where the schema describes them.
SHARED = (
    ("agreement", "datasets", "agreements"),
    ("checkpoint", "features", "networks"),
    ("training", "models", "training"),
    ("linear_start", "models", "linear_start"),
    ("represents", "models", "representing"),
    ("autoencoder", "models", "autoencoders"),
    ("thresholds", "figures", "thresholds"),
)
Config = dict[str, Any]
Facts = TypeVar("Facts")
_counted: frozenset[str] | None = None  # modules whose edits make this job run again; None outside of jobs


def nearest(word: object, candidates: Iterable[str]) -> str:
    """Say which known names resemble ``word`` most, and which there are."""
    names = sorted(candidates)
    close = difflib.get_close_matches(str(word), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(name) for name in close)}? " if close else ""
    return f"{hint}there are: {', '.join(names) or 'none'}"


def plugins(section: str) -> list[str]:
    """Name the plug-ins of a section: the files that exist, and the packages."""
    folder = PACKAGE / section
    stems = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return sorted(stem for stem in stems if not stem.startswith("_"))


def plugin_file(section: str, plugin: str) -> str:
    """Name the file of a section in which a plug-in's literals and functions stand: of a package, its __init__.py."""
    package = f"{plugin}/__init__.py"
    return package if (PACKAGE / section / package).is_file() else f"{plugin}.py"


def plugin_name(name: str, entry: Config | None) -> str:
    """Return the plug-in of a catalogue entry: its key ``plugin``, or its own name with - read as _."""
    return str((entry or {}).get("plugin") or name).replace("-", "_")


def plugin_module(config: Config, section: str, name: str) -> str:
    """Return the dotted module of the plug-in behind a catalogue entry."""
    return f"boldflow.{section}.{plugin_name(name, config[section][name])}"


def load(section: str, plugin: str) -> ModuleType:
    """Import a plug-in.

    Raises
    ------
    ValueError
        If there is no such file or package; names the nearest ones.
    """
    if plugin not in plugins(section):
        raise ValueError(f"{section} has no plug-in {plugin!r}; {nearest(plugin, plugins(section))}")
    _see_that_it_counts(section, plugin)
    return importlib.import_module(f"boldflow.{section}.{plugin}")


def plugin_of(section: str, settings: Mapping[str, Any]) -> ModuleType:
    """Import the plug-in of a catalogue entry."""
    return load(section, settings["plugin"])


@functools.cache
def syntax_tree(section: str, plugin: str) -> ast.Module:
    """Read a plug-in's syntax tree once: a parse asks for its functions and for three of its literals."""
    return ast.parse((PACKAGE / section / plugin_file(section, plugin)).read_bytes())


def functions(section: str, plugin: str) -> set[str]:
    """Name the functions that a plug-in has, as its text tells: what it defines, or imports from its own modules."""
    body = syntax_tree(section, plugin).body
    package = f"boldflow.{section}.{plugin}."
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    imports = [node for node in body if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(package)]
    return defined | {alias.asname or alias.name for node in imports for alias in node.names}


def confine(modules: Iterable[str]) -> None:
    """Let this process touch no plug-in but those of some modules: a job calls it with the modules of its digest.

    An edit of another plug-in would not make the job run again.
    """
    global _counted  # of the process, as what Python has imported is
    _counted = frozenset(modules)


def _see_that_it_counts(section: str, plugin: str) -> None:
    module = f"boldflow.{section}.{plugin}"
    if _counted is not None and module not in _counted:
        raise RuntimeError(
            f"{module} is not in the digest of this job's code, so that an edit of it would rerun nothing: a stage may "
            "load, and read the literals of, the plug-in that its rule names in code_of, and no other"
        )


@functools.cache
def literal(section: str, plugin: str, name: str) -> Any:
    """Read a module-level literal of a plug-in without importing it; an empty dict where it is not given.

    Raises
    ------
    ValueError
        If the value is not a literal.
    RuntimeError
        If the process is a job and the plug-in is not in its digest.
    """
    _see_that_it_counts(section, plugin)
    for node in syntax_tree(section, plugin).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets) and getattr(node, "value", None):
            value: ast.expr = node.value  # type: ignore[attr-defined]
            try:
                return ast.literal_eval(value)
            except ValueError:
                location = f"{plugin_file(section, plugin)}: {_no_literal(value, name)}"
                raise ValueError(f"{location}, must be a literal, readable without importing") from None
    return {}


def facts(record: type[Facts], section: str, plugin: str) -> Facts:
    """Read the ``FACTS`` of a plug-in as the record of its section (``boldflow.vocabulary.facts``)."""
    return record(**literal(section, plugin, "FACTS"))


def _no_literal(value: ast.expr, name: str) -> str:
    """Name key, line and text of what is no literal in a value: SETTINGS['n']['default'] in line 7 is 'N'."""
    parts: list[tuple[ast.expr | None, str]] = []
    if isinstance(value, ast.Dict):
        key_values = zip(value.keys, value.values, strict=True)
        parts = [(item, f"{name}[{ast.unparse(key)}]" if key else f"{name}, **") for key, item in key_values]
        parts += [(key, f"{name}, a key") for key in value.keys]
    elif isinstance(value, ast.List | ast.Tuple | ast.Set):
        parts = [(item, f"{name}[{index}]") for index, item in enumerate(value.elts)]
    for item, part_path in parts:
        try:
            ast.literal_eval(item or value)
        except ValueError:
            return _no_literal(item, part_path) if item is not None else part_path
    return f"{name} in line {value.lineno} is {ast.unparse(value)!r}"


def entry_schema(schemas: Config, section: str, plugin: str | None) -> Config:
    """Compose the JSON schema of one catalogue entry: the section's own keys and its plug-in's ``SETTINGS``.

    Of keys that plug-ins share a plug-in may have defaults of its own, ``DEFAULTS``.
    """
    base = schemas["config"]["$defs"][section]
    plugin_properties = literal(section, plugin, "SETTINGS") if plugin else {}
    shared_properties: Config = {}
    for fact, fact_section, definition in SHARED:
        if plugin and section == fact_section and literal(section, plugin, "FACTS").get(fact):
            shared_properties |= schemas["config"]["$defs"][definition]["properties"]
    properties = {**base["properties"], **shared_properties, **plugin_properties}
    for key, value in (literal(section, plugin, "DEFAULTS") if plugin else {}).items():
        properties[key] = {**properties[key], "default": value}
    return {
        "type": "object",
        "properties": properties,
        "required": [*base.get("required", []), *(literal(section, plugin, "REQUIRED") if plugin else [])],
        "additionalProperties": False,
        "$defs": schemas["config"]["$defs"],
    }


def read_schemas(folder: Path) -> Config:
    """Read the JSON schemas of a folder, by name without ``.schema.json``."""
    return {p.name.split(".")[0]: json.loads(p.read_text()) for p in sorted(folder.glob("*.schema.json"))}
