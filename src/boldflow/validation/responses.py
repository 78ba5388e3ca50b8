"""What cannot be of a response: its files and its linear model, and what it asks of a recording."""

import re
from collections.abc import (
    Iterator,
)

from boldflow.catalogue import (
    model_facts,
    outside,
    recording,
    region_rows,
)
from boldflow.registry import (
    Config,
    literal,
    nearest,
    plugin_name,
)
from boldflow.vocabulary.directions import Direction
from boldflow.vocabulary.facts import DatasetFacts
from boldflow.vocabulary.regions import (
    KINDS,
    PLACEHOLDERS,
)
from boldflow.vocabulary.responses import (
    KINDS_OF_KEY,
    OTHER_WAYS,
    PROJECTING,
    WAYS_FROM_FSAVERAGE,
    WAYS_FROM_FSNATIVE,
)
from boldflow.vocabulary.results import (
    ResultKey,
)
from boldflow.vocabulary.spaces import MNI
from boldflow.vocabulary.spaces import kind_of as kind_of_space


def glm_problems(where: str, entry: Config) -> list[str]:
    """List what cannot be of the linear model that a response's entry describes."""
    if entry.get("kind") != "glm":
        return []
    problems = []
    method, ridge = entry.get("method"), entry.get("ridge", [])
    hrf = entry.get("hrf", "library" if method == "blup" else "canonical")
    if method is None:
        problems.append(f"{where}: key 'method' is missing, which kind glm needs: blup, lss or lsa")
    if ridge and method in ("blup", "lss"):
        reason = {"lss": "not for lss", "blup": "blup finds its shrinkage by likelihood"}[method]
        problems.append(f"{where}: ridge {ridge} is for method lsa, all trials at once; {reason}")
    if hrf == "library" and method not in ("blup", None):
        problems.append(
            f"{where}: hrf: library is for method blup, which averages over the library; by {method} each vertex chose "
            "alone, and lost to one response in rapid, weak data: set method: blup (without ridge), or leave hrf out"
        )
    if (hrf == "table") != ("hrf_table" in entry):
        keys_text = (
            f"hrf is {hrf!r} and hrf_table {entry['hrf_table']!r}" if "hrf_table" in entry else f"hrf is {hrf!r}"
        )
        problems.append(f"{where}: {keys_text}; hrf: table and hrf_table, a path, go together")
    if "hrf_step_s" in entry and hrf != "table":
        problems.append(f"{where}: hrf_step_s {entry['hrf_step_s']} is for hrf: table, found {hrf!r}")
    if (hrf == "table" or len(ridge) > 1) and method in ("lss", "lsa") and "split" not in entry:
        problems.append(
            f"{where}: key 'split' is missing: a haemodynamic response or a ridge is chosen from the data, and only "
            "training trials of a split may have a part in that"
        )
    drift = entry.get("drift", "cosine")
    for key, needed_drift in (("high_pass_hz", "cosine"), ("drift_order", "polynomial")):
        if key in entry and drift != needed_drift:
            problems.append(f"{where}: {key} {entry[key]} is for drift: {needed_drift}, found {drift!r}")
    return problems


def region_problems(where: str, entry: Config) -> list[str]:
    """List what cannot be of the files that give regions, as far as their names tell."""
    problems = []
    for name, templates in entry.get("region_files", {}).items():
        for template in templates:
            template_text = f"{where}.region_files.{name}: {template!r}"
            unknown_placeholders = sorted(set(re.findall(r"\{([^{}]*)\}", template)) - set(PLACEHOLDERS))
            if unknown_placeholders:
                problems.append(
                    f"{template_text} has placeholder {unknown_placeholders[0]!r}; "
                    f"{nearest(unknown_placeholders[0], PLACEHOLDERS)}"
                )
            for file_row in region_rows(template, "subject"):
                problems += [f"{template_text} {sentence}" for sentence in _row_problems(file_row, entry.get("space"))]
    return list(dict.fromkeys(problems))


def _row_problems(file_row: Config, space: str | None) -> Iterator[str]:
    kind, choice = file_row["kind"], file_row["choice"]
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
    if " " in file_row["hemisphere"]:
        yield f"is told to be of {file_row['hemisphere']}; path and name must agree"
    elif kind != "volume" and not file_row["hemisphere"]:
        yield "does not tell its hemisphere: its name must hold lh. or rh. (or hemi-L or hemi-R), or {hemisphere}"


def response_problems(
    config: Config, result: ResultKey, response: Config, split: Config, direction: str, data: DatasetFacts
) -> Iterator[str]:
    """Say what cannot be of a response in a study: its recording, space, kind, and where its statistics are from."""
    recording_ = recording(config, result.dataset, result.response)
    if recording_ not in data.recordings:
        yield (
            f"response {result.response!r} reads recording {recording_!r}, which data set {result.dataset!r} does "
            f"not have; {nearest(recording_, data.recordings)}"
        )
    statistics_split = response.get("split", result.split)
    split_text = (
        f"response {result.response!r} takes its statistics from the training trials of split {statistics_split!r}"
    )
    if statistics_split not in config["splits"]:
        yield f"{split_text}, which is not in the catalogue; {nearest(statistics_split, config['splits'])}"
    elif statistics_split != result.split:
        yield f"{split_text}, and is used with split {result.split!r}: what one tests may train the other"
    if "split" in response and split["test"] == "run":
        yield (
            f"response {result.response!r} takes its statistics from training trials of split {result.split!r}, "
            "whose folds train on different ones; choose a split of one fold, or leave out the key split"
        )
    yield from _space_problems(result, response, recording_, data)
    yield from _template_problems(config, result, response)
    yield from _kind_problems(config, result, response, recording_, data)
    is_training_encoder = direction == Direction.ENCODE and model_facts(config, result.model).training
    if (direction == Direction.REPRESENT or is_training_encoder) and not response.get("average", True):
        yield (
            f"response {result.response!r} keeps time, and model {result.model!r} is of direction {direction!r}: "
            "choose a response whose volumes are averaged"
        )


def _kind_problems(
    config: Config, result: ResultKey, response: Config, recording_: str, data_facts: DatasetFacts
) -> list[str]:
    """List what cannot be of a response's kind, given the recording that it reads."""
    response_text, kind = f"response {result.response!r}", response["kind"]
    beta_recordings = data_facts.beta_recordings
    problems = []
    if recording_ in data_facts.recordings and (kind == "betas") != (recording_ in beta_recordings):
        needed_kind = "betas" if recording_ in beta_recordings else "bold"
        problems.append(
            f"{response_text} is of kind {kind!r}, and recording {recording_!r} of data set {result.dataset!r} holds "
            f"{needed_kind}: set kind to {needed_kind!r}, or name another recording"
        )
    entry_of_response = config["responses"][result.response] or {}
    for key, kinds in KINDS_OF_KEY.items():
        if key in entry_of_response and kind not in kinds:
            kinds_text = " and ".join(kinds)
            problems.append(
                f"{response_text} names {key} {entry_of_response[key]!r}, which is for kind {kinds_text}, not for "
                f"{kind}"
            )
    entry = config["datasets"][result.dataset] or {}
    if outside(config, result.dataset, recording_) and "betas_root" not in entry:
        problems.append(
            f"recording {recording_!r} of data set {result.dataset!r} is read from a folder of your own: download it "
            f"({data_facts.recordings[recording_]}) and set datasets.{result.dataset}.betas_root"
        )
    return problems


def _space_problems(result: ResultKey, response: Config, recording_: str, data_facts: DatasetFacts) -> list[str]:
    """List what cannot be of a response's space and of the way there, given the recording that it reads."""
    given_spaces = (data_facts.recording_spaces or {}).get(recording_, data_facts.spaces)
    space, problems = response["space"], []
    if not ({"native"} if space == "native" else {"MNI", "fsnative", "fsaverage5", "fsaverage"}) & set(given_spaces):
        problems.append(
            f"response {result.response!r} is in space {space!r}, which recording {recording_!r} of data set "
            f"{result.dataset!r} cannot give (its BOLD comes in {given_spaces})"
        )
    spaces_text = f"recording {recording_!r} of data set {result.dataset!r} comes in {given_spaces}"
    for key, needed_space, kind_text in (
        *((key, "MNI", "volumes in MNI space") for key in PROJECTING),
        ("resampling", "fsnative", "BOLD on a subject's own surface, and betas on fsaverage"),
    ):
        if key in response and (not {needed_space, OTHER_WAYS.get(key)} & set(given_spaces) or space == "native"):
            problems.append(
                f"response {result.response!r} names {key} {response[key]!r}, which is for {kind_text}; {spaces_text}"
            )
    if "radius_mm" in response and response.get("sampling") != "line":
        problems.append(f"response {result.response!r} names radius_mm, which is for sampling line")
    problems += _mesh_problems(result, response, spaces_text, "fsaverage" in given_spaces)
    return problems


def _template_problems(config: Config, result: ResultKey, response: Config) -> Iterator[str]:
    """Say that volumes lie in a space in which fsaverage does not, where the data set's entry names theirs."""
    entry = config["datasets"][result.dataset] or {}
    space_key = literal("datasets", plugin_name(result.dataset, entry), "SETTINGS").get("space")
    if space_key is None or response["space"] == "native":
        return
    space = str(entry.get("space", space_key["default"]))
    if kind_of_space(space) != "MNI":
        yield (
            f"response {result.response!r} is in space {response['space']!r}, and data set {result.dataset!r} reads "
            f"volumes in space {space!r}; fsaverage lies in {', '.join(MNI)}: set space of the data set to one of "
            "these, or choose a response in space native"
        )


def _mesh_problems(result: ResultKey, response: Config, spaces_text: str, on_fsaverage: bool) -> list[str]:
    """List what cannot be of a response's way to its mesh, and of the folder that holds meshes."""
    space, resampling, problems = response["space"], response.get("resampling"), []
    ways = WAYS_FROM_FSAVERAGE if on_fsaverage else WAYS_FROM_FSNATIVE
    if resampling is not None and space != "native" and resampling not in ways:
        problems.append(
            f"response {result.response!r} names resampling {resampling!r}, expected one of {ways}; {spaces_text}"
        )
    if on_fsaverage:
        needs_mesh = resampling == "average" and space != "native"
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
