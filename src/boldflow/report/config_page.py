"""The page that describes every key of the configuration, made from the schemas and the plug-ins' settings."""

from collections.abc import Iterator
from typing import Any

from boldflow import registry
from boldflow.artifacts.releases import published
from boldflow.provenance import canonical
from boldflow.vocabulary.sections import PLUGIN_SECTIONS, SECTIONS

HEAD = """# Configuration

Made by `make docs` from workflow/schemas and the plug-ins' `SETTINGS`; edit those, not this page.

`config.yaml` is the catalogue: it gives every data set, response, feature, model, split and figure a name.
`studies/NAME.yaml` says which of them to run. A misspelt key, a wrong type or an unknown name stops the workflow
before any job starts.
"""
PUBLISHED = f"""## published.csv

Figures that others have published, one per row: `system`, `{"`, `".join(published.KEYS)}`, `value`, `unit`
(`{"` or `".join(published.UNITS)}`), `protocol`, `source`, `note`. Names are those of `config.yaml`, metrics those of
the leaderboard; an empty cell is an empty cell of the leaderboard.

A figure stands beside a row of ours (`published_value`, `published_source`; a star in the figure) only where all
columns from `dataset` to `gallery_size` are the same (for `ceiling` all but feature and model) and both follow the
protocol `published`; never beside simulated data. Figures of a study's data sets or models that do not fit are listed
in its report and its `published.csv`, with the reason. A figure found under another protocol than its publication's
has `protocol` `other`, and a `note` that says what differs. A wrong cell stops the leaderboard with its line and
column; an edit remakes leaderboards and what follows from them, nothing else.
"""


def render(schemas: dict[str, Any]) -> str:
    """Write the page.

    Parameters
    ----------
    schemas : dict
        From ``registry.read_schemas``.

    Returns
    -------
    str
        Markdown.
    """
    parts = [HEAD]
    parts += ["## config.yaml\n", schemas["config"]["description"] + "\n", _table(schemas["config"])]
    for section in SECTIONS:
        parts += [f"## {section}\n", schemas["config"]["properties"][section]["description"] + "\n"]
        parts += ["Keys of every entry:\n", _table(schemas["config"]["$defs"][section])]
        parts += _shared_keys(schemas, section)
        for plugin in registry.plugins(section) if section in PLUGIN_SECTIONS else []:
            parts += _plugin_keys(section, plugin)
    parts += ["## studies/NAME.yaml\n", schemas["study"]["description"] + "\n", _table(schemas["study"])]
    for key in ("primary", "reference", "runs", "latents"):
        schema = schemas["study"]["properties"][key]
        parts += [f"Keys of `{key}`:\n", _table(schema.get("items", schema))]
    return "\n".join([*parts, PUBLISHED])


def _shared_keys(schemas: dict[str, Any], section: str) -> Iterator[str]:
    """Keys that plug-ins of one fact share."""
    plugins = registry.plugins(section)
    for fact, fact_section, definition_name in registry.SHARED:
        sharing_plugins = [plugin for plugin in plugins if registry.literal(section, plugin, "FACTS").get(fact)]
        if section == fact_section and sharing_plugins:
            definition = schemas["config"]["$defs"][definition_name]
            yield f"Keys {definition['description']} (`{'`, `'.join(sharing_plugins)}`):\n"
            yield _table(definition)


def _plugin_keys(section: str, plugin: str) -> Iterator[str]:
    """Keys of one plug-in, and its defaults of those that it shares."""
    settings = registry.literal(section, plugin, "SETTINGS")
    if settings:
        yield f"Keys of plug-in `{plugin}`:\n"
        yield _table({"properties": settings})
    defaults = registry.literal(section, plugin, "DEFAULTS")
    if defaults:
        defaults_text = ", ".join(f"`{key}` `{canonical(value)}`" for key, value in defaults.items())
        yield f"Defaults of plug-in `{plugin}` for keys that it shares: {defaults_text}.\n"


def _table(schema: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = schema.get("required", [])
    for key, value in schema["properties"].items():
        default = f"`{canonical(value['default'])}`" if "default" in value else ("required" if key in required else "")
        cells = (f"`{key}`", _type(value), default, value["description"])
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value if isinstance(value, str) else canonical(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "oneOf" in schema:
        return " or ".join(_type(option) for option in schema["oneOf"])
    json_type = schema.get("type", "any")
    if json_type == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    limits = [f"{sign} {schema[name]}" for name, sign in _LIMITS.items() if name in schema]
    return " or ".join([json_type] if isinstance(json_type, str) else json_type) + (
        "" if not limits else f" ({', '.join(limits)})"
    )


_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
