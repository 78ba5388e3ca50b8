"""The catalogue: which plug-ins there are, what an entry means, which jobs a study asks for.

Standard library only, since the Snakefile imports it and is parsed again in every job. A plug-in's literals
(``FACTS``, ``SETTINGS``, ``NEEDS``) are read from its syntax tree, so that parsing never imports numpy.
"""

import ast
import datetime
import difflib
import functools
import importlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).resolve().parent
PLUGIN_SECTIONS = ("datasets", "features", "models", "figures")
SECTIONS = ("datasets", "responses", "features", "models", "splits", "figures")
ROW_KEYS = ("datasets", "subjects", "responses", "features", "models", "splits")

# Keys that say where this machine finds things, and who signed an agreement; they change no result: fetching sees those
# of a data set (and whether the files in stimuli_root changed) and of a feature, projection those of a response (and
# whether region_files changed).
PLACES = (
    *("origin", "public_url", "stimuli_root", "betas_root", "mesh_folder", "region_files", "checkpoint_root"),
    *("hrf_table", "agreement"),
)
# Files that give regions of interest, by how their names end.
REGION_FILES = {
    ".label": "label", ".annot": "annotation", ".mgh": "overlay", ".mgz": "overlay", ".gii": "overlay",
    ".nii": "volume", ".nii.gz": "volume",
}  # fmt: skip
REGION_PLACEHOLDERS = ("subject", "hemisphere")
# How a file's name tells its hemisphere: lh.V1.label, sub-01_rh.V1.mgz, tpl-fsaverage_hemi-L_V1.label.gii.
HEMISPHERE = re.compile(r"(?<![A-Za-z0-9])(?:([lr]h)\.|hemi-([LR])(?![A-Za-z0-9]))")

# What a plug-in must have, by section: keys of FACTS, and functions.
CONTRACT: dict[str, dict[str, tuple[str, ...]]] = {
    "datasets": {
        "facts": (
            *("subjects", "tr_s", "spaces", "images", "split_unit", "simulated", "version", "source", "licence"),
            *("citation", "agreement", "recordings", "stimuli_inside", "stimuli_from", "stimuli_password"),
        ),
        "functions": ("source", "files_needed", "trials", "stimuli", "runs", "rois", "sizes"),
    },
    "features": {"facts": ("reads", "kind", "device", "threads", "checkpoint"), "functions": ("extractor",)},
    "models": {"facts": ("device", "threads", "closed_form"), "functions": ("fit", "predict")},
    "figures": {"facts": ("title", "caption"), "functions": ("source_table", "draw")},
}
# Keys that plug-ins of one fact share: the fact, the section, and where the schema describes them.
SHARED = (
    ("agreement", "datasets", "agreements"),
    ("checkpoint", "features", "networks"),
    ("training", "models", "training"),
    ("linear_start", "models", "linear_start"),
    ("represents", "models", "representing"),
    ("autoencoder", "models", "autoencoders"),
)
# Keys of a response that say how volumes are projected.
PROJECTING = ("sampling", "interpolation", "radius_mm", "mask_samples")
# How values come to a mesh of fsaverage from another surface: from the finer fsaverage, and from the subject's own.
WAYS_FROM_FSAVERAGE = ["subset", "average"]
WAYS_FROM_FSNATIVE = ["barycentric", "nearest", "average"]
OTHER_WAYS = {"resampling": "fsaverage"}  # a second space from which the key's way leads
# Keys of a response by the kinds that have them; those that are not here all kinds have.
_OF_RUNS = dict.fromkeys(("start_s", "duration_s", "confounds", "high_pass_hz", *PROJECTING), ("bold", "glm"))
_OF_GLM = dict.fromkeys(("method", "hrf", "hrf_table", "hrf_step_s", "ridge", "drift", "drift_order"), ("glm",))
KINDS_OF_KEY = _OF_RUNS | _OF_GLM | {"average": ("bold",), "censor_mm": ("bold",), "zscore": ("betas",)}
# The feature of a model that sees only responses: no entry, and no file.
NONE = "none"
NOTHING = {"reads": "nothing", "kind": NONE, "device": "cpu", "threads": 1, "checkpoint": False}
# Metrics that a result gives: an encoder, a model of responses alone, a decoder of embeddings, a decoder of classes.
METRICS = {
    "encode": ("r", "r2", "mse", "explained_share", "ceiling"),
    "represent": ("mse", "r2", "r", "zeros", "dead_units"),
    "embedding": (
        *("top1", "top5", "top10", "inv_norm_rank", "inv_norm_rank_median", "mean_rank", "median_rank", "sd_rank"),
        *("two_way", "nway50", "feature_r"),
    ),
    "classes": ("accuracy", "auc"),
}
# Tables that a study with the key latents makes of the codes of its models.
OF_LATENTS = ("separations", "embeddings", "units", "reconstructions")

Config = dict[str, Any]
POOLED = "pooled"  # in a subject's place: one model that learns from all subjects of the data set


@dataclass(frozen=True, order=True)
class Result:
    """One trained and scored model: the wildcards of its folder."""

    dataset: str
    subject: str
    response: str
    feature: str
    model: str
    split: str


def nearest(word: object, known: Iterable[str]) -> str:
    """Say which known names resemble ``word`` most, and which there are."""
    names = sorted(known)
    close = difflib.get_close_matches(str(word), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(name) for name in close)}? " if close else ""
    return f"{hint}there are: {', '.join(names) or 'none'}"


def plugins(section: str) -> list[str]:
    """Name the plug-ins of a section: the files that exist."""
    return sorted(p.stem for p in (PACKAGE / section).glob("*.py") if not p.stem.startswith("_"))


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
        If there is no such file; names the nearest ones.
    """
    if plugin not in plugins(section):
        raise ValueError(f"{section} has no plug-in {plugin!r}; {nearest(plugin, plugins(section))}")
    return importlib.import_module(f"boldflow.{section}.{plugin}")


@functools.cache
def _tree(section: str, plugin: str) -> ast.Module:
    """Read a plug-in's syntax tree once: a parse asks for its functions and for three of its literals."""
    return ast.parse((PACKAGE / section / f"{plugin}.py").read_bytes())


@functools.cache
def literal(section: str, plugin: str, name: str) -> Any:
    """Read a module-level literal of a plug-in without importing it; an empty dict where it is not given.

    Raises
    ------
    ValueError
        If the value is not a literal.
    """
    for node in _tree(section, plugin).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets) and getattr(node, "value", None):
            try:
                return ast.literal_eval(node.value)  # type: ignore[attr-defined]
            except ValueError:
                raise ValueError(f"{plugin}.py: {name} must be a literal, readable without importing") from None
    return {}


def facts(config: Config, section: str, name: str) -> Config:
    """Read the ``FACTS`` of the plug-in behind a catalogue entry; one that is None is the entry's key of that name."""
    if section == "features" and name == NONE:
        return dict(NOTHING)
    entry = config[section][name] or {}
    plugin = plugin_name(name, entry)
    keys = literal(section, plugin, "SETTINGS")
    own = {key: schema["default"] for key, schema in keys.items() if "default" in schema} | entry
    found = literal(section, plugin, "FACTS")
    return {key: own.get(key) if value is None else value for key, value in found.items()}


def places(config: Config, section: str, name: str) -> Config:
    """Give what a catalogue entry says of where this machine finds things, and of the agreement that was signed."""
    entry = config[section][name] or {}
    found = {key: entry[key] for key in entry if key in PLACES}
    if "agreement" in found:  # YAML reads 2026-01-31 without quotation marks as a day
        found["agreement"] = {key: str(value) for key, value in found["agreement"].items()}
    return found


def device_of_feature(config: Config, feature: str) -> str:
    """Name the device that a feature asks for: its entry's own, or its plug-in's."""
    entry = config["features"][feature] or {}
    return str(entry.get("device") or facts(config, "features", feature)["device"])


def opens_checkpoint(config: Config, feature: str) -> bool:
    """Tell whether a feature needs a network that was trained elsewhere."""
    entry = config["features"].get(feature) or {}
    return bool(facts(config, "features", feature)["checkpoint"]) and entry.get("weights") != "untrained"


def shards_of_feature(config: Config, feature: str) -> list[str]:
    """Name the shards over which a feature's pictures are spread, "0-of-3" and so on; none where one job makes all."""
    n = int((config["features"].get(feature) or {}).get("shards", 1))
    whole = n == 1 or facts(config, "features", feature)["reads"] != "images"
    return [] if whole else [f"{k}-of-{n}" for k in range(n)]


def members_of_feature(config: Config, feature: str) -> list[str]:
    """Name the features whose columns a feature joins, in its order; none for one that describes stimuli itself."""
    joins = facts(config, "features", feature)["reads"] == "features"
    return list((config["features"][feature] or {}).get("of", [])) if joins else []


def split_of_response(config: Config, response: str) -> str:
    """Name the split from whose training trials a response takes its statistics; empty where from all volumes."""
    return str((config["responses"][response] or {}).get("split", ""))


def hrf_table_of_response(config: Config, response: str) -> str:
    """Name the user's table of haemodynamic responses that a response reads; empty where it reads none."""
    return str((config["responses"][response] or {}).get("hrf_table", ""))


def subjects(config: Config, dataset: str) -> list[str]:
    """Name the subjects of a data set: the entry's own list, or its plug-in's."""
    entry = config["datasets"][dataset] or {}
    return list(entry.get("subjects") or facts(config, "datasets", dataset).get("subjects", []))


def recording(config: Config, dataset: str, response: str) -> str:
    """Name the recording of a data set that a response reads: its entry's own, or the data set's first."""
    entry = config["responses"][response] or {}
    return str(entry.get("recording") or next(iter(facts(config, "datasets", dataset)["recordings"])))


def recordings(config: Config) -> list[str]:
    """Name the recordings of all data sets of the catalogue, each once."""
    found = (facts(config, "datasets", name).get("recordings", {}) for name in config["datasets"])
    return sorted({name for one in found for name in one})


def outside(config: Config, dataset: str, recording_: str) -> bool:
    """Tell whether a recording is read from a folder of the user's own (``betas_root``)."""
    return recording_ in facts(config, "datasets", dataset).get("recordings_outside", [])


def region_files(entry: Config | None, subject: str) -> dict[str, list[Config]]:
    """Name the files that give a subject's regions, by region, as a response's entry writes them (``region_files``).

    Returns
    -------
    dict
        Sorted by region. Of each file: ``path``; ``kind``, of ``REGION_FILES``, empty for another; ``choice``, what is
        chosen in it (a name or a number after a colon, or nothing); ``hemisphere``, "lh", "rh", nothing, or both where
        path and name disagree; ``shared``, whether all subjects share it.
    """
    templates = (entry or {}).get("region_files", {})
    return {name: [row for one in templates[name] for row in _region_rows(one, subject)] for name in sorted(templates)}


def stimuli_at_hand(config: Config, dataset: str) -> bool:
    """Tell whether the pictures of a data set come with it, or the entry says where they are."""
    entry = config["datasets"][dataset] or {}
    return bool(facts(config, "datasets", dataset)["stimuli_inside"] or entry.get("stimuli_root"))


def entry_schema(schemas: Config, section: str, plugin: str | None) -> Config:
    """Compose the JSON schema of one catalogue entry: the section's own keys and its plug-in's ``SETTINGS``.

    Of keys that plug-ins share a plug-in may have defaults of its own, ``DEFAULTS``.
    """
    base = schemas["config"]["$defs"][section]
    own = literal(section, plugin, "SETTINGS") if plugin else {}
    shared: Config = {}
    for fact, of, keys in SHARED:
        if plugin and section == of and literal(section, plugin, "FACTS").get(fact):
            shared |= schemas["config"]["$defs"][keys]["properties"]
    found = {**base["properties"], **shared, **own}
    for key, value in (literal(section, plugin, "DEFAULTS") if plugin else {}).items():
        found[key] = {**found[key], "default": value}
    return {
        "type": "object",
        "properties": found,
        "required": [*base.get("required", []), *(literal(section, plugin, "REQUIRED") if plugin else [])],
        "additionalProperties": False,
        "$defs": schemas["config"]["$defs"],
    }


def settings(config: Config, schemas: Config, section: str, name: str) -> Config:
    """Return a catalogue entry with every default filled in and its plug-in and name beside it.

    Raises
    ------
    ValueError
        If the catalogue has no such entry.
    """
    if name not in config[section]:
        raise ValueError(f"{section} has no entry {name!r}; {nearest(name, config[section])}")
    entry = config[section][name] or {}
    plugin = plugin_name(name, entry) if section in PLUGIN_SECTIONS else None
    keys = entry_schema(schemas, section, plugin)["properties"]
    filled = {key: schema["default"] for key, schema in keys.items() if "default" in schema}
    named = {"name": name} | ({"plugin": plugin} if plugin else {})
    # the files are places, the regions' names are not
    names = {"regions_of_files": sorted(entry["region_files"])} if "region_files" in entry else {}
    return {**filled, **entry, **named, **names}


def read_schemas(folder: Path) -> Config:
    """Read the JSON schemas of a folder, by name without ``.schema.json``."""
    return {p.name.split(".")[0]: json.loads(p.read_text()) for p in sorted(folder.glob("*.schema.json"))}


def expand(config: Config, study: Config) -> list[Result]:
    """List what a study asks for: each row of ``runs`` is a cross product.

    Returns
    -------
    list of Result
        In the order of the study, each once.
    """
    found: dict[Result, None] = {}
    for row in study["runs"]:
        for dataset in row["datasets"]:
            whole = {"all": subjects(config, dataset), POOLED: [POOLED], NONE: [NONE]}
            chosen = row["subjects"] if isinstance(row["subjects"], list) else whole[row["subjects"]]
            lists = [chosen, *(row[key] for key in ROW_KEYS[2:])]
            for subject, response, feature, model, split in itertools.product(*lists):
                found[Result(dataset, subject, response, feature, model, split)] = None
    return list(found)


def subjects_of(config: Config, dataset: str, subject: str) -> list[str]:
    """Name the subjects that a result reads: its own, or all where they are pooled or where it is of pictures alone."""
    return subjects(config, dataset) if subject in (POOLED, NONE) else [subject]


def pooled_name(model: str) -> str:
    """Name the model that learnt from all subjects, in tables: no entry of the catalogue can have such a name."""
    return f"{model} ({POOLED})"


def by_subject(config: Config, results: Iterable[Result]) -> list[Result]:
    """List results with one subject each, in order, each once: those that are pooled stand for all of theirs."""
    each = (replace(one, subject=name) for one in results for name in subjects_of(config, one.dataset, one.subject))
    return list(dict.fromkeys(each))


def rivals(config: Config, schemas: Config, results: Iterable[Result]) -> list[list[Result]]:
    """Group the encoders that can be compared vertex by vertex: two or more of one subject's responses and split."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for one in results:
        if settings(config, schemas, "models", one.model)["direction"] == "encode":
            groups.setdefault((one.dataset, one.subject, one.response, one.split), []).append(one)
    return [group for group in groups.values() if len(group) > 1]


def latents(study: Config, schemas: Config) -> Config:
    """Give what a study asks of codes, defaults filled in; empty where it asks nothing."""
    keys = schemas["study"]["properties"]["latents"]["properties"]
    own = study.get("latents")
    return {key: schema["default"] for key, schema in keys.items() if "default" in schema} | own if own else {}


def represented(config: Config, schemas: Config, results: Iterable[Result]) -> list[Result]:
    """List the results of models that see only responses, in order."""
    return [one for one in results if settings(config, schemas, "models", one.model)["direction"] == "represent"]


def tells_bands_apart(config: Config, feature: str, model: str) -> bool:
    """Tell whether an encoder says what each of several joined features explains."""
    tree = _tree("models", plugin_name(model, config["models"][model]))
    return bool(members_of_feature(config, feature)) and any(
        isinstance(node, ast.FunctionDef) and node.name == "parts" for node in tree.body
    )


def config_problems(config: Config, schemas: Config, validator: Any) -> list[str]:
    """List what is wrong with the catalogue, one sentence each; empty when all is well.

    Parameters
    ----------
    config : dict
    schemas : dict
        From ``read_schemas``.
    validator : class
        A jsonschema validator class (handed in, since this module imports the standard library only).
    """
    problems = _schema_problems("", config, schemas["config"], validator)
    for section in SECTIONS:
        entries = config.get(section)
        if not isinstance(entries, dict):
            continue
        for name, entry in entries.items():
            where = f"{section}.{name}"
            if entry is not None and not isinstance(entry, dict):
                continue  # its type is a schema problem already
            plugin = plugin_name(name, entry) if section in PLUGIN_SECTIONS else None
            if plugin is not None and plugin not in plugins(section):
                problems.append(f"{where}: no plug-in {plugin!r}; {nearest(plugin, plugins(section))}")
                continue
            found = plugin_problems(section, plugin) if plugin else []
            if found:
                problems += [f"{where}: {one}" for one in found]
                continue
            schema = entry_schema(schemas, section, plugin)
            wrong = _schema_problems(where, entry or {}, schema, validator)
            problems += wrong
            if section == "responses" and not wrong:
                problems += _region_problems(where, entry or {}) + _glm_problems(where, entry or {})
            if section == "features" and not wrong:
                problems += _network_problems(config, schemas, name) + _member_problems(config, name)
            if section == "models" and not wrong:
                problems += _control_problems(where, name, entry or {})
            if section == "datasets" and not wrong and entry and "agreement" in entry:
                problems += _agreement_problems(where, entry["agreement"]["date"])
    return problems


def study_problems(config: Config, study: Any, schemas: Config, validator: Any) -> list[str]:
    """List what is wrong with a study: its own form, and names that the catalogue does not hold."""
    problems = _schema_problems("", study, schemas["study"], validator)
    if problems:
        return problems
    for index, row in enumerate(study["runs"]):
        for key in ROW_KEYS:
            if key == "subjects":
                continue
            for name in row[key]:
                if name not in config[key] and not (key in ("features", "responses") and name == NONE):
                    problems.append(f"runs[{index}].{key}: no {name!r} in the catalogue; {nearest(name, config[key])}")
        known = [name for name in row["datasets"] if name in config["datasets"]]
        problems += [f"runs[{index}].subjects: {one}" for one in _pooling_problems(config, schemas, row, known)]
        if (row["subjects"] == NONE) != (NONE in row["responses"]) or (
            NONE in row["responses"] and row["responses"][1:]
        ):
            problems.append(
                f"runs[{index}].responses: found {row['responses']} with subjects {row['subjects']!r}; codes of "
                f"features alone have subjects: {NONE} and responses: [{NONE}], all others neither"
            )
        for dataset, subject in itertools.product(known, row["subjects"] if isinstance(row["subjects"], list) else []):
            if subject not in subjects(config, dataset):
                there = nearest(subject, subjects(config, dataset))
                problems.append(f"runs[{index}].subjects: data set {dataset!r} has no subject {subject!r}; {there}")
    for name in study.get("figures", []):
        if name not in config["figures"]:
            problems.append(f"figures: no {name!r} in the catalogue; {nearest(name, config['figures'])}")
    return problems or _meaning_problems(config, study, schemas)


def _pooling_problems(config: Config, schemas: Config, row: Config, datasets: list[str]) -> list[str]:
    """List what cannot be of a row whose subjects are pooled."""
    if row["subjects"] != POOLED:
        return []
    problems = [
        f"data set {name!r} has one subject, {subjects(config, name)}: there is nothing to pool; write all"
        for name in datasets
        if len(subjects(config, name)) < 2
    ]
    pools = [name for name in config["models"] if _pools(config, schemas, name)]
    wrong = [name for name in row["models"] if name in config["models"] and name not in pools]
    told = f"is one subject's and cannot be pooled; those that can: {pools}"
    return problems + [f"model {name!r} {told}" for name in wrong]


def _pools(config: Config, schemas: Config, model: str) -> bool:
    """Tell whether a model can learn from several subjects at once: a decoder whose plug-in has ``of_subject``."""
    tree = _tree("models", plugin_name(model, config["models"][model]))
    there = any(isinstance(node, ast.FunctionDef) and node.name == "of_subject" for node in tree.body)
    return there and settings(config, schemas, "models", model)["direction"] == "decode"


def plugin_problems(section: str, plugin: str) -> list[str]:
    """List what a plug-in lacks of its contract, as far as its text tells."""
    path = PACKAGE / section / f"{plugin}.py"
    try:
        tree = _tree(section, plugin)
        facts_ = literal(section, plugin, "FACTS")
        literal(section, plugin, "SETTINGS")
    except (SyntaxError, ValueError) as error:
        return [f"{path.name} of {section}: {error}"]
    lacking = [key for key in CONTRACT[section]["facts"] if key not in facts_]
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    missing = [name for name in CONTRACT[section]["functions"] if name not in there]
    problems = [f"{path.name} of {section}: FACTS lack {lacking}; found {sorted(facts_)}"] if lacking else []
    return problems + ([f"{path.name} of {section}: functions {missing} are missing"] if missing else [])


def _meaning_problems(config: Config, study: Config, schemas: Config) -> list[str]:
    """List what cannot be for reasons that names and facts tell: metrics, figures and data that do not fit."""
    problems: dict[str, None] = {}
    metrics: set[str] = set()
    directions: set[str] = set()
    tables: set[str] = {"leaderboard", "comparisons", "published"}
    # nothing here depends on the subject
    results = expand(config, {"runs": [row | {"subjects": [""]} for row in study["runs"]]})
    tables |= {"wins"} if rivals(config, schemas, results) else set()
    for result in results:
        model = settings(config, schemas, "models", result.model)
        split = settings(config, schemas, "splits", result.split)
        data, feature = facts(config, "datasets", result.dataset), facts(config, "features", result.feature)
        for name in [result.feature, *members_of_feature(config, result.feature)]:
            if facts(config, "features", name)["reads"] == "images" and not data["images"]:
                problems[f"feature {name!r} reads pictures, and data set {result.dataset!r} has none"] = None
        if split["test"] in ("repeated", "named") and not data["images"]:
            problems[f"split {result.split!r} tests {split['test']} pictures, and {result.dataset!r} has none"] = None
        problems |= dict.fromkeys(_split_problems(config, result, split))
        problems |= dict.fromkeys(_direction_problems(result, model["direction"]))
        if result.response != NONE:
            response = settings(config, schemas, "responses", result.response)
            problems |= dict.fromkeys(_response_problems(config, result, response, split, model["direction"], data))
        kind = feature["kind"] if model["direction"] == "decode" else model["direction"]
        metrics |= set(METRICS.get(kind, ()))
        directions.add(model["direction"])
        if kind == "encode" and tells_bands_apart(config, result.feature, result.model):
            tables |= {"bands"}
        tables |= {"histories"} if facts(config, "models", result.model).get("training") else set()
        tables |= {"encode": {"maps"}, "embedding": {"queries", "images"}}.get(kind, set())
        if kind == "represent" and "latents" in study:
            tables |= set(OF_LATENTS) | ({"images"} if data["images"] else set())
    for name in latents(study, schemas).get("match", []):
        if name not in (coded := [one.model for one in represented(config, schemas, results)]):
            problems[f"latents.match: no model {name!r} of this study gives codes; {nearest(name, coded)}"] = None
    metric = study["primary"]["metric"]
    if metric not in metrics:
        problems[f"primary.metric: no model of this study gives {metric!r}; {nearest(metric, metrics)}"] = None
    if "latents" in study and "represent" not in directions:
        problems["latents: no model of this study has direction 'represent', and only these give codes"] = None
    for name in study.get("figures", []):
        needed = literal("figures", plugin_name(name, config["figures"][name]), "NEEDS")
        lacking = sorted(set(needed) - tables)
        if lacking:
            told = " (they come with the study's key latents)" if set(lacking) & set(OF_LATENTS) else ""
            problems[f"figures: {name!r} needs {lacking}, which no model of this study gives{told}"] = None
    return list(problems)


def _response_problems(
    config: Config, result: Result, response: Config, split: Config, direction: str, data: Config
) -> Iterator[str]:
    """Say what cannot be of a response in a study: its recording, space, kind, and where its statistics are from."""
    recording_ = recording(config, result.dataset, result.response)
    if recording_ not in data["recordings"]:
        yield (
            f"response {result.response!r} reads recording {recording_!r}, which data set {result.dataset!r} does "
            f"not have; {nearest(recording_, data['recordings'])}"
        )
    if response.get("split", result.split) != result.split:
        yield (
            f"response {result.response!r} takes its statistics from the training trials of split "
            f"{response['split']!r}, and is used with split {result.split!r}: what one tests may train the other"
        )
    if "split" in response and split["test"] == "run":
        yield (
            f"response {result.response!r} takes its statistics from training trials of split {result.split!r}, "
            "whose folds train on different ones; choose a split of one fold, or leave out the key split"
        )
    yield from _space_problems(result, response, recording_, data)
    yield from _kind_problems(config, result, response, recording_, data)
    if direction == "represent" and not response.get("average", True):
        yield (
            f"response {result.response!r} keeps time, and model {result.model!r} is of direction {direction!r}: "
            "choose a response whose volumes are averaged"
        )


def _control_problems(where: str, name: str, entry: Config) -> list[str]:
    """Say where a model's name and its being an untrained control do not agree."""
    if bool(entry.get("untrained")) == ("untrained-control" in name):
        return []
    does = "is untrained, and the name does not say so; put" if entry.get("untrained") else "is trained; take"
    return [f"{where}: the model {does} untrained-control {'into' if entry.get('untrained') else 'off'} the name"]


def _direction_problems(result: Result, direction: str) -> Iterator[str]:
    """Say where a model's direction does not fit what it is given: one that represents sees responses or features."""
    if direction != "represent" and (result.feature == NONE or result.response == NONE):
        kind = "feature" if result.feature == NONE else "response"
        yield f"model {result.model!r} has direction {direction!r} and takes a {kind} of the catalogue, found {NONE!r}"
    if direction == "represent" and (result.feature == NONE) == (result.response == NONE):
        yield (
            f"model {result.model!r} has direction {direction!r} and takes feature {NONE!r}, or response {NONE!r} and "
            f"a feature; found response {result.response!r} and feature {result.feature!r}"
        )


def _network_problems(config: Config, schemas: Config, name: str) -> list[str]:
    """List what a feature's entry lacks to find its network, and a control that does not say that it is one."""
    entry, where = settings(config, schemas, "features", name), f"features.{name}"
    if entry.get("weights") == "untrained" and "untrained-control" not in name:
        return [f"{where}: weights are untrained, and the name does not say so; put untrained-control into it"]
    if not opens_checkpoint(config, name):
        return []
    if "untrained-control" in name:
        return [f"{where}: its weights are trained, and the name says that it is an untrained control; choose another"]
    known = literal("features", entry["plugin"], "CHECKPOINTS")
    if "checkpoint" not in entry:
        return [f"{where}: key 'checkpoint' is missing (or weights: untrained); known are: {', '.join(sorted(known))}"]
    if "revision" in entry or "checkpoint_root" in entry or entry["checkpoint"] in known:
        return []
    return [
        f"{where}: checkpoint {entry['checkpoint']!r} needs key revision, its commit on the hub (or checkpoint_root, "
        f"a folder of yours); those known without: {', '.join(sorted(known)) or 'none'}"
    ]


def _agreement_problems(where: str, day: Any) -> list[str]:
    try:
        datetime.date.fromisoformat(str(day))
    except ValueError:
        return [f"{where}.agreement.date: found {day!r}, expected the day on which it was signed, such as 2026-01-31"]
    return []


def _member_problems(config: Config, name: str) -> list[str]:
    """List what cannot be of the features that an entry joins; whoever joins a control says so too."""
    where, problems = f"features.{name}.of", []
    for member in members_of_feature(config, name):
        entry = config["features"].get(member) or {}
        if member not in config["features"] or plugin_name(member, entry) not in plugins("features"):
            problems.append(f"{where}: no feature {member!r}; {nearest(member, set(config['features']) - {name})}")
        elif facts(config, "features", member)["reads"] == "features":
            problems.append(f"{where}: {member!r} joins features itself; name those that it joins instead")
        elif entry.get("weights") == "untrained" and "untrained-control" not in name:
            problems.append(f"{where}: {member!r} has untrained weights; put untrained-control into the name {name!r}")
    return problems


def _kind_problems(config: Config, result: Result, response: Config, recording_: str, data: Config) -> list[str]:
    """List what cannot be of a response's kind, given the recording that it reads."""
    where, kind = f"response {result.response!r}", response["kind"]
    known = data.get("beta_recordings", [])
    problems = []
    if recording_ in data["recordings"] and (kind == "betas") != (recording_ in known):
        right = "betas" if recording_ in known else "bold"
        problems.append(
            f"{where} is of kind {kind!r}, and recording {recording_!r} of data set {result.dataset!r} holds {right}: "
            f"set kind to {right!r}, or name another recording"
        )
    given = config["responses"][result.response] or {}
    for key, kinds in KINDS_OF_KEY.items():
        if key in given and kind not in kinds:
            other = " and ".join(kinds)
            problems.append(f"{where} names {key} {given[key]!r}, which is for kind {other}, not for {kind}")
    entry = config["datasets"][result.dataset] or {}
    if outside(config, result.dataset, recording_) and "betas_root" not in entry:
        problems.append(
            f"recording {recording_!r} of data set {result.dataset!r} is read from a folder of your own: download it "
            f"({data['recordings'][recording_]}) and set datasets.{result.dataset}.betas_root"
        )
    return problems


def _glm_problems(where: str, entry: Config) -> list[str]:
    """List what cannot be of the linear model that a response's entry describes."""
    if entry.get("kind") != "glm":
        return []
    problems = []
    method, hrf, ridge = entry.get("method"), entry.get("hrf", "canonical"), entry.get("ridge", [])
    if method is None:
        problems.append(f"{where}: key 'method' is missing, which kind glm needs: lss or lsa")
    if ridge and method == "lss":
        problems.append(f"{where}: ridge {ridge} is for method lsa, all trials at once, not for lss")
    if (hrf == "table") != ("hrf_table" in entry):
        found = f"hrf is {hrf!r} and hrf_table {entry['hrf_table']!r}" if "hrf_table" in entry else f"hrf is {hrf!r}"
        problems.append(f"{where}: {found}; hrf: table and hrf_table, a path, go together")
    if "hrf_step_s" in entry and hrf != "table":
        problems.append(f"{where}: hrf_step_s {entry['hrf_step_s']} is for hrf: table, found {hrf!r}")
    if (hrf != "canonical" or len(ridge) > 1) and "split" not in entry:
        problems.append(
            f"{where}: key 'split' is missing: a haemodynamic response or a ridge is chosen from the data, and only "
            "training trials of a split may have a part in that"
        )
    drift = entry.get("drift", "cosine")
    for key, right in (("high_pass_hz", "cosine"), ("drift_order", "polynomial")):
        if key in entry and drift != right:
            problems.append(f"{where}: {key} {entry[key]} is for drift: {right}, found {drift!r}")
    return problems


def _region_rows(template: str, subject: str) -> Iterator[Config]:
    for side in ("lh", "rh") if "{hemisphere}" in template else ("",):
        path = template.replace("{subject}", subject).replace("{hemisphere}", side)
        head, _, choice = path.rpartition(":")
        path, choice = (head, choice) if _region_kind(head) else (path, "")
        by_name = [short or f"{letter.lower()}h" for short, letter in HEMISPHERE.findall(path.rpartition("/")[2])]
        hemisphere = " and ".join(sorted({*by_name, side} - {""}))
        how = {"path": path, "kind": _region_kind(path), "choice": choice, "hemisphere": hemisphere}
        yield how | {"shared": "{subject}" not in template}


def _region_kind(path: str) -> str:
    return next((kind for ending, kind in REGION_FILES.items() if path.endswith(ending)), "")


def _region_problems(where: str, entry: Config) -> list[str]:
    """List what cannot be of the files that give regions, as far as their names tell."""
    problems = []
    for name, templates in entry.get("region_files", {}).items():
        for template in templates:
            told = f"{where}.region_files.{name}: {template!r}"
            unknown = sorted(set(re.findall(r"\{([^{}]*)\}", template)) - set(REGION_PLACEHOLDERS))
            if unknown:
                problems.append(f"{told} has placeholder {unknown[0]!r}; {nearest(unknown[0], REGION_PLACEHOLDERS)}")
            for row in _region_rows(template, "subject"):
                problems += [f"{told} {words}" for words in _row_problems(row, entry.get("space"))]
    return list(dict.fromkeys(problems))


def _row_problems(row: Config, space: str | None) -> Iterator[str]:
    kind, choice = row["kind"], row["choice"]
    if not kind:
        yield f"is no file that gives a region: names end in {', '.join(REGION_FILES)} (and may go on with :3)"
        return
    if kind == "annotation" and not choice:
        yield "must name a region of the annotation after a colon, such as lh.aparc.annot:cuneus"
    if kind == "label" and choice:
        yield f"chooses {choice!r}, and a label is one region; leave out the colon"
    if kind in ("overlay", "volume") and choice and not re.fullmatch(r"-?[0-9]+", choice):
        yield f"chooses {choice!r}, expected a whole number, the region's value in the file"
    if kind != "volume" and space == "native":
        yield "lies on a surface, and the response is in space 'native', voxels; give a volume on the BOLD's grid"
    if " " in row["hemisphere"]:
        yield f"is told to be of {row['hemisphere']}; path and name must agree"
    elif kind != "volume" and not row["hemisphere"]:
        yield "does not tell its hemisphere: its name must hold lh. or rh. (or hemi-L or hemi-R), or {hemisphere}"


def _space_problems(result: Result, response: Config, recording_: str, data: Config) -> list[str]:
    """List what cannot be of a response's space and of the way there, given the recording that it reads."""
    come = data.get("recording_spaces", {}).get(recording_, data["spaces"])
    space, problems = response["space"], []
    if not ({"native"} if space == "native" else {"MNI", "fsnative", "fsaverage5", "fsaverage"}) & set(come):
        problems.append(
            f"response {result.response!r} is in space {space!r}, which recording {recording_!r} of data set "
            f"{result.dataset!r} cannot give (its BOLD comes in {come})"
        )
    where = f"recording {recording_!r} of data set {result.dataset!r} comes in {come}"
    for key, from_, kind in (
        *((key, "MNI", "volumes in MNI space") for key in PROJECTING),
        ("resampling", "fsnative", "BOLD on a subject's own surface, and betas on fsaverage"),
    ):
        if key in response and (not {from_, OTHER_WAYS.get(key)} & set(come) or space == "native"):
            problems.append(f"response {result.response!r} names {key} {response[key]!r}, which is for {kind}; {where}")
    if "radius_mm" in response and response.get("sampling") != "line":
        problems.append(f"response {result.response!r} names radius_mm, which is for sampling line")
    problems += _mesh_problems(result, response, where, "fsaverage" in come)
    return problems


def _mesh_problems(result: Result, response: Config, where: str, on_fsaverage: bool) -> list[str]:
    """List what cannot be of a response's way to its mesh, and of the folder that holds meshes."""
    space, how, problems = response["space"], response.get("resampling"), []
    ways = WAYS_FROM_FSAVERAGE if on_fsaverage else WAYS_FROM_FSNATIVE
    if how is not None and space != "native" and how not in ways:
        problems.append(f"response {result.response!r} names resampling {how!r}, expected one of {ways}; {where}")
    if on_fsaverage:
        needs_mesh = how == "average" and space != "native"
        if needs_mesh and "mesh_folder" not in response:
            problems.append(
                f"response {result.response!r} averages over vertices of fsaverage, whose sphere is not inside: set "
                "mesh_folder to a folder that holds fsaverage/surf, such as FreeSurfer's subjects"
            )
    elif space in ("fsaverage6", "fsaverage7") and "mesh_folder" not in response:
        problems.append(
            f"response {result.response!r} is in space {space!r}, whose mesh is not inside: set mesh_folder to a "
            f"folder that holds {'fsaverage' if space == 'fsaverage7' else space}/surf, such as FreeSurfer's subjects"
        )
    return problems


def _split_problems(config: Config, result: Result, split: Config) -> list[str]:
    """List what cannot be of a split: a test set that the data set does not name, a pattern that is none."""
    where = f"split {result.split!r}"
    problems = []
    windows_of = split.get("windows_of", result.response)
    if windows_of not in config["responses"] and windows_of != NONE:
        problems.append(f"{where}: windows_of names {windows_of!r}; {nearest(windows_of, config['responses'])}")
    if split["test"] == "named":
        known = literal("datasets", plugin_name(result.dataset, config["datasets"][result.dataset]), "TEST_SETS")
        if split.get("names") not in known:
            problems.append(
                f"{where}: names is {split.get('names')!r}, which is no test set of data set {result.dataset!r}; "
                f"{nearest(split.get('names'), known)}"
            )
    if "concept" in split:
        try:
            groups = re.compile(split["concept"]).groups
        except re.error as error:
            problems.append(f"{where}: concept {split['concept']!r} is no regular expression: {error}")
        else:
            if groups != 1:
                problems.append(f"{where}: concept {split['concept']!r} must have one group in (), found {groups}")
    return problems


def _schema_problems(where: str, value: Any, schema: Config, validator: Any) -> list[str]:
    """Turn schema errors into sentences that name key, value found and what would be right."""
    errors = sorted(validator(schema).iter_errors(value), key=lambda error: [str(p) for p in error.absolute_path])
    # one error per missing key comes, and each names all of them
    return list(dict.fromkeys(sentence for error in errors for sentence in _sentences(where, error)))


def _sentences(where: str, error: Any) -> list[str]:
    steps = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    place = f"{where}{steps}".strip(".") or "top level"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = [key for key in error.instance if key not in known]
        return [f"{place}: unknown key {key!r} (value {error.instance[key]!r}); {nearest(key, known)}" for key in extra]
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [f"{place}: key {key!r} is missing; found {sorted(error.instance)}" for key in missing]
    if error.validator == "enum":
        return [f"{place}: {error.instance!r} is not known; {nearest(error.instance, map(str, error.validator_value))}"]
    if error.validator == "type":
        wanted = error.validator_value
        wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return [f"{place}: found {error.instance!r} ({type(error.instance).__name__}), expected {wanted}"]
    about = error.schema.get("description", "")
    return [f"{place}: found {error.instance!r}: {error.message}" + (f" ({about})" if about else "")]
