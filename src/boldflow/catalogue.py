"""The catalogue: what an entry says with its defaults, what a rule reads of it, and which results a study asks for.

Standard library only, since the Snakefile imports it and is parsed again in every job.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from boldflow.provenance import EVERYTHING
from boldflow.registry import Config, entry_schema, functions, literal, nearest, plugin_name
from boldflow.vocabulary.directions import Direction
from boldflow.vocabulary.facts import DatasetFacts, FeatureFacts, ModelFacts
from boldflow.vocabulary.hemispheres import FREESURFER, IN_A_NAME
from boldflow.vocabulary.regions import kind_of
from boldflow.vocabulary.results import NONE, POOLED, ResultKey
from boldflow.vocabulary.sections import PLUGIN_SECTIONS, ROW_KEYS
from boldflow.vocabulary.tables import KINDS, Trait

# Keys that say where this machine finds things, and who signed an agreement; they change no result: fetching sees those
# of a data set (and whether the files in stimuli_root changed) and of a feature, projection those of a response (and
# whether region_files changed).
PLACES = (
    *("origin", "public_url", "stimuli_root", "betas_root", "mesh_folder", "region_files", "checkpoint_root"),
    *("hrf_table", "agreement"),
)
# Keys of entries that rules read where the plug-in has no ``READS`` that says it; a rule that is not here reads all
# but ``NOT_READ``.
READS: dict[str, dict[str, list[str]]] = {
    "datasets": {"make_split": []},
    "responses": {"make_split": ["start_s", "duration_s"]},
    "features": {"fetch_checkpoint": ["checkpoint", "revision", "sha256", "weights"]},
    "models": {
        "score_model": ["permutations", "rescorings", "tfce", "protocol"],
        "analyse_latents": ["permutations", "protocol"],
    },
}
# Of features, what only their arrival and the plan of the run read; of models, how they are scored.
NOT_READ: dict[str, dict[str, tuple[str, ...]]] = {
    "features": {
        "cache_features": ("shards", "revision", "sha256"),
        "extract_shard": ("shards", "revision", "sha256"),
    },
    "models": {"train_model": ("permutations", "rescorings", "tfce", "protocol")},
}
# Keys that stages and mathematics ask of any entry of a section, whether its plug-in has them or not.
OF_ANY = {"features": ["weights"], "models": ["start", "refit"]}
# Keys that one stage alone reads, whatever the plug-in.
OF_STAGE = {"datasets": {"fetch_stimuli": ["turned_pictures"]}}
# Facts that rules read.
FACTS_READ: dict[str, list[str]] = {
    "fetch_stimuli": ["images", "stimuli_inside", "stimuli_from", "stimuli_password", "subjects"],
    "make_split": ["images", "split_unit", "tr_s"],
    "project_responses": ["tr_s", "recordings_outside"],
    "score_model": ["images", "simulated", "version"],
    "analyse_latents": ["images", "simulated", "version"],
    "compare_encoders": ["images", "simulated", "version"],
    "write_report": ["version", "licence", "citation", "simulated", "title", "caption"],
}
FETCHES = ("fetch_dataset", "fetch_subject", "fetch_stimuli")  # rules that look into a folder of the user's own
# The feature of a model that sees only responses.
NOTHING = FeatureFacts(reads="nothing", kind=NONE, device="cpu", threads=1, checkpoint=False)


def dataset_facts(config: Config, name: str) -> DatasetFacts:
    """Give the facts of a data set of the catalogue."""
    return DatasetFacts(**_stated(config, "datasets", name))


def feature_facts(config: Config, name: str) -> FeatureFacts:
    """Give the facts of a feature of the catalogue, or of none at all."""
    return NOTHING if name == NONE else FeatureFacts(**_stated(config, "features", name))


def model_facts(config: Config, name: str) -> ModelFacts:
    """Give the facts of a model of the catalogue."""
    return ModelFacts(**_stated(config, "models", name))


def _stated(config: Config, section: str, name: str) -> Config:
    """Read the ``FACTS`` of the plug-in behind a catalogue entry; one that is None is the entry's key of that name."""
    entry = config[section][name] or {}
    plugin = plugin_name(name, entry)
    keys = literal(section, plugin, "SETTINGS")
    set_keys = {key: schema["default"] for key, schema in keys.items() if "default" in schema} | entry
    stated = literal(section, plugin, "FACTS")
    return {key: set_keys.get(key) if value is None else value for key, value in stated.items()}


def places(config: Config, section: str, name: str) -> Config:
    """Give what a catalogue entry says of where this machine finds things, and of the agreement that was signed."""
    entry = config[section][name] or {}
    of_machine = {key: entry[key] for key in entry if key in PLACES}
    if "agreement" in of_machine:  # YAML reads 2026-01-31 without quotation marks as a day
        of_machine["agreement"] = {key: str(value) for key, value in of_machine["agreement"].items()}
    return of_machine


def patterns_reached(config: Config, schemas: Config, name: str, rule: str, subject: str = "") -> list[str]:
    """Give the patterns of the files that a fetch looks at in a data set that is a folder of the user's own.

    They are those of the plug-in's literal ``LOOKS``, with the keys of the entry filled in; without it, all files below
    the entry's ``folder``. Variables of the environment that are not set leave a pattern out, as do keys. One that
    begins with a key and a question mark, such as ``{leave_out?}``, counts where that key is set.
    """
    entry = settings(config, schemas, "datasets", name)
    looks = literal("datasets", entry["plugin"], "LOOKS").get(
        rule, [EVERYTHING] if rule in FETCHES and "folder" in entry else []
    )
    looks = [expanded for pattern in looks if "$" not in (expanded := os.path.expandvars(pattern))]
    set_keys = {f"{{{key}?}}" for key, value in entry.items() if value}
    conditions = {pattern: re.findall(r"{\w+\?}", pattern) for pattern in looks}
    looks = [re.sub(r"{\w+\?}", "", pattern) for pattern in looks if set_keys >= set(conditions[pattern])]
    keys_of_pattern = {pattern: re.findall(r"{(\w+)}", pattern) for pattern in looks}
    fillings = [entry | {"subject": each} for each in ([subject] if subject else subjects(config, name))]
    filled_patterns = (
        pattern.format(**filling)
        for pattern, keys in keys_of_pattern.items()
        for filling in fillings
        if filling.keys() >= set(keys)  # a table that the entry need not name
    )
    return list(dict.fromkeys(filled_patterns))


def device_of_feature(config: Config, feature: str) -> str:
    """Name the device that a feature asks for: its entry's own, or its plug-in's."""
    entry = config["features"][feature] or {}
    return str(entry.get("device") or feature_facts(config, feature).device)


def opens_checkpoint(config: Config, feature: str) -> bool:
    """Tell whether a feature needs a network that was trained elsewhere."""
    entry = config["features"].get(feature) or {}
    return feature_facts(config, feature).checkpoint and entry.get("weights") != "untrained"


def shards_of_feature(config: Config, feature: str) -> list[str]:
    """Name the shards over which a feature's pictures are spread, "0-of-3" and so on; none where one job makes all."""
    n = int((config["features"].get(feature) or {}).get("shards", 1))
    whole = n == 1 or feature_facts(config, feature).reads != "images"
    return [] if whole else [f"{k}-of-{n}" for k in range(n)]


def members_of_feature(config: Config, feature: str) -> list[str]:
    """Name the features whose columns a feature joins, in its order; none for one that describes stimuli itself."""
    joins = feature_facts(config, feature).reads == "features"
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
    return list(entry.get("subjects") or dataset_facts(config, dataset).subjects)


def recording(config: Config, dataset: str, response: str) -> str:
    """Name the recording of a data set that a response reads: its entry's own, or the data set's first."""
    entry = config["responses"][response] or {}
    return str(entry.get("recording") or next(iter(dataset_facts(config, dataset).recordings)))


def recordings(config: Config) -> list[str]:
    """Name the recordings of all data sets of the catalogue, each once."""
    by_dataset = (dataset_facts(config, name).recordings for name in config["datasets"])
    return sorted({name for described in by_dataset for name in described})


def outside(config: Config, dataset: str, recording_: str) -> bool:
    """Tell whether a recording is read from a folder of the user's own (``betas_root``)."""
    return recording_ in dataset_facts(config, dataset).recordings_outside


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
    return {
        name: [row for template in templates[name] for row in region_rows(template, subject)]
        for name in sorted(templates)
    }


def stimuli_at_hand(config: Config, dataset: str) -> bool:
    """Tell whether the pictures of a data set come with it, or the entry says where they are."""
    entry = config["datasets"][dataset] or {}
    return bool(dataset_facts(config, dataset).stimuli_inside or entry.get("stimuli_root"))


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
    defaults = {key: schema["default"] for key, schema in keys.items() if "default" in schema}
    identity = {"name": name} | ({"plugin": plugin} if plugin else {})
    # the files are places, the regions' names are not
    region_names = {"regions_of_files": sorted(entry["region_files"])} if "region_files" in entry else {}
    return {**defaults, **entry, **identity, **region_names}


def keys_read(schemas: Config, section: str, plugin: str | None, rule: str) -> list[str]:
    """Name the keys of an entry that a rule reads: as the plug-in's ``READS`` says, or its section's; else most."""
    plugin_reads = literal(section, plugin, "READS") if plugin else {}
    stage_keys = OF_STAGE.get(section, {}).get(rule, [])
    if rule in plugin_reads or rule in READS.get(section, {}):
        return [*{**READS.get(section, {}), **plugin_reads}[rule], *stage_keys]
    keys_of_stages = [key for keys in OF_STAGE.get(section, {}).values() for key in keys]
    unread_keys = (*PLACES, "plugin", *keys_of_stages, *NOT_READ.get(section, {}).get(rule, ()))
    keys = [key for key in entry_schema(schemas, section, plugin)["properties"] if key not in unread_keys]
    extra_keys = [*stage_keys, *(["regions_of_files"] if section == "responses" else OF_ANY.get(section, []))]
    return list(dict.fromkeys([*keys, *extra_keys]))


def handed(config: Config, schemas: Config, section: str, name: str, rule: str, subject: str = "") -> Config:
    """Give what a rule reads of a catalogue entry, in the form that ``settings.read_entry`` reads.

    Subjects are cut to the one of the job, where it has one, and sessions to those that this subject has: what an entry
    says of others is no parameter of its jobs.
    """
    entry = settings(config, schemas, section, name)
    read_settings = {key: entry.get(key) for key in keys_read(schemas, section, entry.get("plugin"), rule)}
    if subject and "subjects" in read_settings:
        read_settings["subjects"] = [subject]
    if subject and "sessions" in read_settings:
        read_settings["sessions"] = _sessions_of(dataset_facts(config, name), read_settings["sessions"], subject)
    identity = {key: entry[key] for key in ("name", "plugin") if key in entry}
    return read_settings | identity | {"section": section, "rule": rule}


def _sessions_of(stated: DatasetFacts, sessions: list[int] | None, subject: str) -> list[int] | None:
    """Cut sessions to those that a subject has; none of them is left for the plug-in to refuse."""
    there = range(1, (stated.sessions or {}).get(subject, 0) + 1)
    return sorted(set(sessions or there) & set(there)) or sessions


def facts_read(config: Config, section: str, name: str, rule: str) -> Config:
    """Give the facts of an entry's plug-in that a rule reads."""
    stated = _stated(config, section, name)
    return {key: stated[key] for key in FACTS_READ[rule] if key in stated}


def expand(config: Config, study: Config) -> list[ResultKey]:
    """List what a study asks for: each row of ``runs`` is a cross product.

    Returns
    -------
    list of ResultKey
        In the order of the study, each once.
    """
    results: dict[ResultKey, None] = {}
    for row in study["runs"]:
        for dataset in row["datasets"]:
            subjects_of_word = {"all": subjects(config, dataset), POOLED: [POOLED], NONE: [NONE]}
            row_subjects = row["subjects"] if isinstance(row["subjects"], list) else subjects_of_word[row["subjects"]]
            factors = [row_subjects, *(row[key] for key in ROW_KEYS[2:])]
            for subject, response, feature, model, split in itertools.product(*factors):
                results[ResultKey(dataset, subject, response, feature, model, split)] = None
    return list(results)


def subjects_of(config: Config, dataset: str, subject: str) -> list[str]:
    """Name the subjects that a result reads: its own, or all where they are pooled or where it is of pictures alone."""
    return subjects(config, dataset) if subject in (POOLED, NONE) else [subject]


def by_subject(config: Config, results: Iterable[ResultKey]) -> list[ResultKey]:
    """List results with one subject each, in order, each once: those that are pooled stand for all of theirs."""
    each = (
        replace(result, subject=name)
        for result in results
        for name in subjects_of(config, result.dataset, result.subject)
    )
    return list(dict.fromkeys(each))


def rivals(config: Config, schemas: Config, results: Iterable[ResultKey]) -> list[list[ResultKey]]:
    """Group the encoders that can be compared vertex by vertex: two or more of one subject's responses and split."""
    groups: dict[tuple[str, ...], list[ResultKey]] = {}
    for result in results:
        if settings(config, schemas, "models", result.model)["direction"] == Direction.ENCODE:
            groups.setdefault((result.dataset, result.subject, result.response, result.split), []).append(result)
    return [group for group in groups.values() if len(group) > 1]


def latents(study: Config, schemas: Config) -> Config:
    """Give what a study asks of codes, defaults filled in; empty where it asks nothing."""
    keys = schemas["study"]["properties"]["latents"]["properties"]
    asked = study.get("latents")
    return {key: schema["default"] for key, schema in keys.items() if "default" in schema} | asked if asked else {}


def represented(config: Config, schemas: Config, results: Iterable[ResultKey]) -> list[ResultKey]:
    """List the results of models that see only responses, in order."""
    return [
        result
        for result in results
        if settings(config, schemas, "models", result.model)["direction"] == Direction.REPRESENT
    ]


def tells_bands_apart(config: Config, feature: str, model: str) -> bool:
    """Tell whether an encoder says what each of several joined features explains."""
    plugin = plugin_name(model, config["models"][model])
    return bool(members_of_feature(config, feature)) and "parts" in functions("models", plugin)


def traits(
    config: Config, schemas: Config, study: Config, results: Iterable[ResultKey]
) -> dict[ResultKey, frozenset[Trait]]:
    """Say of each result of a study what it is, as far as tables hang on it."""
    all_results = list(results)
    comparable = {result for group in rivals(config, schemas, all_results) for result in group}
    latent_settings = latents(study, schemas)
    traits_of_result = {}
    for result in all_results:
        direction = settings(config, schemas, "models", result.model)["direction"]
        kind = feature_facts(config, result.feature).kind if direction == Direction.DECODE else direction
        conditions = {
            Trait.TELLS_BANDS: direction == Direction.ENCODE
            and tells_bands_apart(config, result.feature, result.model),
            Trait.LEARNS: model_facts(config, result.model).training,
            Trait.HAS_RIVALS: result in comparable,
            Trait.IS_ASKED: direction == Direction.REPRESENT and bool(latent_settings),
            Trait.IS_MATCHED: direction == Direction.REPRESENT and result.model in latent_settings.get("match", []),
            Trait.HAS_PICTURES: dataset_facts(config, result.dataset).images,
        }
        conditions |= {trait: trait == kind for trait in KINDS}
        traits_of_result[result] = frozenset({Trait.ANY, *(trait for trait, holds in conditions.items() if holds)})
    return traits_of_result


def region_rows(template: str, subject: str) -> Iterator[Config]:
    """Give the files that one template of ``region_files`` names for a subject, as ``region_files`` describes them."""
    for side in FREESURFER if "{hemisphere}" in template else ("",):
        path = template.replace("{subject}", subject).replace("{hemisphere}", side)
        head, _, choice = path.rpartition(":")
        path, choice = (head, choice) if kind_of(head) else (path, "")
        sides_in_name = [
            short_name or f"{letter.lower()}h" for short_name, letter in IN_A_NAME.findall(path.rpartition("/")[2])
        ]
        hemisphere = " and ".join(sorted({*sides_in_name, side} - {""}))
        file_row = {"path": path, "kind": kind_of(path), "choice": choice, "hemisphere": hemisphere}
        yield file_row | {"shared": "{subject}" not in template}
