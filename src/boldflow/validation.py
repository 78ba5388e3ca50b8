"""What is wrong with a catalogue or a study, one sentence each: what was found, where, and what would be right.

Standard library only, as ``registry``: the Snakefile asks at parse, before any job.
"""

import datetime
import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

from boldflow.registry import (
    CONTRACT,
    KINDS_OF_KEY,
    OTHER_WAYS,
    PROJECTING,
    WAYS_FROM_FSAVERAGE,
    WAYS_FROM_FSNATIVE,
    Config,
    entry_schema,
    expand,
    facts,
    functions,
    latents,
    literal,
    members_of_feature,
    nearest,
    opens_checkpoint,
    outside,
    plugin_file,
    plugin_name,
    plugins,
    recording,
    region_rows,
    represented,
    settings,
    subjects,
    traits,
)
from boldflow.vocabulary.metrics import of_kind
from boldflow.vocabulary.regions import KINDS, PLACEHOLDERS
from boldflow.vocabulary.results import NONE, POOLED, ResultKey, pooled_name
from boldflow.vocabulary.sections import PLUGIN_SECTIONS, ROW_KEYS, SECTIONS
from boldflow.vocabulary.tables import TABLES, Trait

TYPES = {"array": "a list", "object": "a mapping"}  # as YAML's writers call what JSON's schemas name


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
    problems = [*_schema_problems("", config, schemas["config"], validator), *_not_finite("", config)]
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
            if section == "datasets" and not wrong and entry:
                problems += _subject_problems(where, str(plugin), entry)
                if "agreement" in entry:
                    problems += _agreement_problems(where, entry["agreement"]["date"])
    return problems


def study_problems(config: Config, study: Any, schemas: Config, validator: Any) -> list[str]:
    """List what is wrong with a study: its own form, and names that the catalogue does not hold."""
    problems = [*_schema_problems("", study, schemas["study"], validator), *_not_finite("", study)]
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
    learns_from_many = "of_subject" in functions("models", plugin_name(model, config["models"][model]))
    return learns_from_many and settings(config, schemas, "models", model)["direction"] == "decode"


def plugin_problems(section: str, plugin: str) -> list[str]:
    """List what a plug-in lacks of its contract, as far as its text tells."""
    file = plugin_file(section, plugin)
    try:
        there = functions(section, plugin)
        facts_ = literal(section, plugin, "FACTS")
        literal(section, plugin, "SETTINGS")
    except (SyntaxError, ValueError) as error:
        return [f"{file} of {section}: {error}"]
    lacking = [key for key in CONTRACT[section]["facts"] if key not in facts_]
    missing = [name for name in CONTRACT[section]["functions"] if name not in there]
    problems = [f"{file} of {section}: FACTS lack {lacking}; found {sorted(facts_)}"] if lacking else []
    return problems + ([f"{file} of {section}: functions {missing} are missing"] if missing else [])


def _meaning_problems(config: Config, study: Config, schemas: Config) -> list[str]:
    """List what cannot be for reasons that names and facts tell: metrics, figures and data that do not fit."""
    problems: dict[str, None] = {}
    metrics: set[str] = set()
    directions: set[str] = set()
    # nothing here depends on the subject
    results = expand(config, {"runs": [row | {"subjects": [""]} for row in study["runs"]]})
    there = frozenset().union(*traits(config, schemas, study, results).values())
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
        metrics |= set(of_kind(kind))
        directions.add(model["direction"])
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
        lacking = sorted(table for table in needed if TABLES[table].of not in there)
        if lacking:
            asked = any(TABLES[table].of is Trait.IS_ASKED for table in lacking)
            told = " (they come with the study's key latents)" if asked else ""
            problems[f"figures: {name!r} needs {lacking}, which no model of this study gives{told}"] = None
        problems |= dict.fromkeys(_figure_problems(config, study, name, metrics))
    return list(problems)


def _figure_problems(config: Config, study: Config, figure: str, metrics: set[str]) -> Iterator[str]:
    """Say which models, subjects and metrics a figure's entry names that the study does not have."""
    where, entry, results = f"figures.{figure}", config["figures"][figure] or {}, expand(config, study)
    models = {name for one in results for name in (one.model, pooled_name(one.model))}
    there = {"model": models, "models": models, "subjects": {one.subject for one in results}}
    for key in there.keys() & entry.keys():
        for name in entry[key] if isinstance(entry[key], list) else [entry[key]]:
            if name and name not in there[key]:
                kind = "subject" if key == "subjects" else "model"
                yield f"{where}.{key}: this study has no {kind} {name!r}; {nearest(name, there[key])}"
    for name in (panel["metric"] for panel in entry.get("panels", [])):
        if name not in metrics:
            yield f"{where}.panels: no model of this study gives {name!r}; {nearest(name, metrics)}"


def _response_problems(
    config: Config, result: ResultKey, response: Config, split: Config, direction: str, data: Config
) -> Iterator[str]:
    """Say what cannot be of a response in a study: its recording, space, kind, and where its statistics are from."""
    recording_ = recording(config, result.dataset, result.response)
    if recording_ not in data["recordings"]:
        yield (
            f"response {result.response!r} reads recording {recording_!r}, which data set {result.dataset!r} does "
            f"not have; {nearest(recording_, data['recordings'])}"
        )
    learnt = response.get("split", result.split)
    from_split = f"response {result.response!r} takes its statistics from the training trials of split {learnt!r}"
    if learnt not in config["splits"]:
        yield f"{from_split}, which is not in the catalogue; {nearest(learnt, config['splits'])}"
    elif learnt != result.split:
        yield f"{from_split}, and is used with split {result.split!r}: what one tests may train the other"
    if "split" in response and split["test"] == "run":
        yield (
            f"response {result.response!r} takes its statistics from training trials of split {result.split!r}, "
            "whose folds train on different ones; choose a split of one fold, or leave out the key split"
        )
    yield from _space_problems(result, response, recording_, data)
    yield from _kind_problems(config, result, response, recording_, data)
    trains = direction == "encode" and facts(config, "models", result.model).get("training")
    if (direction == "represent" or trains) and not response.get("average", True):
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


def _direction_problems(result: ResultKey, direction: str) -> Iterator[str]:
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
    told = f"{where}.agreement.date: found {str(day)!r}, expected the day on which it was signed"
    try:
        signed = datetime.date.fromisoformat(str(day))
    except ValueError:
        return [f"{told}, such as 2026-01-31"]
    today = datetime.date.today()
    # where the day has begun already depends on the place
    return [f"{told}; today is {today}"] if signed > today + datetime.timedelta(days=1) else []


def _subject_problems(where: str, plugin: str, entry: Config) -> list[str]:
    """Name subjects of an entry that its plug-in does not know; a folder of the user's own has any."""
    known = literal("datasets", plugin, "FACTS")["subjects"]
    return [
        f"{where}.subjects[{index}]: no subject {name!r}; {nearest(name, known)}"
        for index, name in enumerate(entry.get("subjects", []))
        if known and name not in known
    ]


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


def _kind_problems(config: Config, result: ResultKey, response: Config, recording_: str, data: Config) -> list[str]:
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


def _region_problems(where: str, entry: Config) -> list[str]:
    """List what cannot be of the files that give regions, as far as their names tell."""
    problems = []
    for name, templates in entry.get("region_files", {}).items():
        for template in templates:
            told = f"{where}.region_files.{name}: {template!r}"
            unknown = sorted(set(re.findall(r"\{([^{}]*)\}", template)) - set(PLACEHOLDERS))
            if unknown:
                problems.append(f"{told} has placeholder {unknown[0]!r}; {nearest(unknown[0], PLACEHOLDERS)}")
            for row in region_rows(template, "subject"):
                problems += [f"{told} {words}" for words in _row_problems(row, entry.get("space"))]
    return list(dict.fromkeys(problems))


def _row_problems(row: Config, space: str | None) -> Iterator[str]:
    kind, choice = row["kind"], row["choice"]
    if not kind:
        yield f"is no file that gives a region: names end in {', '.join(KINDS)} (and may go on with :3)"
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


def _space_problems(result: ResultKey, response: Config, recording_: str, data: Config) -> list[str]:
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


def _mesh_problems(result: ResultKey, response: Config, where: str, on_fsaverage: bool) -> list[str]:
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


def _split_problems(config: Config, result: ResultKey, split: Config) -> list[str]:
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


def _not_finite(where: str, value: Any) -> Iterator[str]:
    """Say where a number is infinite or none, which YAML can write and no setting takes."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _not_finite(f"{where}[{key}]" if isinstance(value, list) else f"{where}.{key}".strip("."), one)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: found {value}, expected a finite number"


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
        wanted = " or ".join(TYPES.get(one, one) for one in ([wanted] if isinstance(wanted, str) else wanted))
        said = f"{place}: found {error.instance!r} ({type(error.instance).__name__}), expected {wanted}"
        return [said + _meant_number(error.instance)]
    about = error.schema.get("description", "")
    return [f"{place}: found {error.instance!r}: {error.message}" + (f" ({about})" if about else "")]


def _meant_number(value: Any) -> str:
    """Explain numbers that YAML reads as text."""
    found = re.fullmatch(r"([+-]?\d+)(\.\d+)?\.?[eE]([+-]?)(\d+)", value) if isinstance(value, str) else None
    if not found:
        return ""
    return f" (YAML reads this as text; write {found[1]}{found[2] or '.0'}e{found[3] or '+'}{found[4]})"
