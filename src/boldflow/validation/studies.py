"""What is wrong with a study: its form, names that the catalogue does not hold, and what cannot be."""

import itertools
from collections.abc import (
    Iterator,
)
from typing import (
    Any,
)

from boldflow.catalogue import (
    dataset_facts,
    expand,
    feature_facts,
    latents,
    members_of_feature,
    represented,
    settings,
    subjects,
    subjects_of,
    traits,
)
from boldflow.registry import (
    Config,
    functions,
    literal,
    nearest,
    plugin_name,
)
from boldflow.validation.responses import (
    response_problems,
)
from boldflow.validation.sentences import (
    not_finite,
    schema_problems,
)
from boldflow.validation.splits import (
    split_problems,
)
from boldflow.vocabulary.directions import Direction
from boldflow.vocabulary.meshes import FSAVERAGE5
from boldflow.vocabulary.metrics import (
    METRICS,
    of_kind,
    views_of,
)
from boldflow.vocabulary.results import (
    NONE,
    POOLED,
    ResultKey,
    pooled_name,
)
from boldflow.vocabulary.sections import (
    ROW_KEYS,
)
from boldflow.vocabulary.tables import TABLES, Trait

OVER_FOLDS = {"run", "folds"}  # tests of a split that take parts in turn
MODEL_KEYS = ("response", "feature", "model")  # what names a model of a comparison


def study_problems(config: Config, study: Any, schemas: Config, validator: Any) -> list[str]:
    """List what is wrong with a study: its own form, and names that the catalogue does not hold."""
    problems = [*schema_problems("", study, schemas["study"], validator), *not_finite("", study)]
    if problems:
        return problems
    for index, row in enumerate(study["runs"]):
        for key in ROW_KEYS:
            if key == "subjects":
                continue
            for name in row[key]:
                if name not in config[key] and not (key in ("features", "responses") and name == NONE):
                    problems.append(f"runs[{index}].{key}: no {name!r} in the catalogue; {nearest(name, config[key])}")
        datasets = [name for name in row["datasets"] if name in config["datasets"]]
        problems += [
            f"runs[{index}].subjects: {sentence}" for sentence in _pooling_problems(config, schemas, row, datasets)
        ]
        if (row["subjects"] == NONE) != (NONE in row["responses"]) or (
            NONE in row["responses"] and row["responses"][1:]
        ):
            problems.append(
                f"runs[{index}].responses: found {row['responses']} with subjects {row['subjects']!r}; codes of "
                f"features alone have subjects: {NONE} and responses: [{NONE}], all others neither"
            )
        for dataset, subject in itertools.product(
            datasets, row["subjects"] if isinstance(row["subjects"], list) else []
        ):
            if subject not in subjects(config, dataset):
                hint = nearest(subject, subjects(config, dataset))
                problems.append(f"runs[{index}].subjects: data set {dataset!r} has no subject {subject!r}; {hint}")
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
    pooling_models = [name for name in config["models"] if _pools(config, schemas, name)]
    unpooled_models = [name for name in row["models"] if name in config["models"] and name not in pooling_models]
    reason = f"is one subject's and cannot be pooled; those that can: {pooling_models}"
    return problems + [f"model {name!r} {reason}" for name in unpooled_models]


def _pools(config: Config, schemas: Config, model: str) -> bool:
    """Tell whether a model can learn from several subjects at once: a decoder whose plug-in has ``of_subject``."""
    learns_from_many = "of_subject" in functions("models", plugin_name(model, config["models"][model]))
    return learns_from_many and settings(config, schemas, "models", model)["direction"] == Direction.DECODE


def _meaning_problems(config: Config, study: Config, schemas: Config) -> list[str]:
    """List what cannot be for reasons that names and facts tell: metrics, figures and data that do not fit."""
    problems: dict[str, None] = {}
    metrics: set[str] = set()
    directions: set[str] = set()
    # nothing here depends on the subject
    results = expand(config, {"runs": [row | {"subjects": [""]} for row in study["runs"]]})
    given_traits = frozenset().union(*traits(config, schemas, study, results).values())
    for result in results:
        model = settings(config, schemas, "models", result.model)
        split = settings(config, schemas, "splits", result.split)
        data_facts, feature = dataset_facts(config, result.dataset), feature_facts(config, result.feature)
        for name in [result.feature, *members_of_feature(config, result.feature)]:
            if feature_facts(config, name).reads == "images" and not data_facts.images:
                problems[f"feature {name!r} reads pictures, and data set {result.dataset!r} has none"] = None
        data_set = settings(config, schemas, "datasets", result.dataset)
        problems |= dict.fromkeys(split_problems(config, result, split, data_set))
        problems |= dict.fromkeys(_direction_problems(result, model["direction"]))
        if result.response != NONE:
            response = settings(config, schemas, "responses", result.response)
            problems |= dict.fromkeys(
                response_problems(config, result, response, split, model["direction"], data_facts)
            )
        kind = feature.kind if model["direction"] == Direction.DECODE else model["direction"]
        metrics |= set(of_kind(kind))
        directions.add(model["direction"])
    for name in latents(study, schemas).get("match", []):
        if name not in (models := [result.model for result in represented(config, schemas, results)]):
            problems[f"latents.match: no model {name!r} of this study gives codes; {nearest(name, models)}"] = None
    metric = study["primary"]["metric"]
    if metric not in metrics:
        problems[f"primary.metric: no model of this study gives {metric!r}; {nearest(metric, metrics)}"] = None
    else:
        problems |= dict.fromkeys(_view_problems(config, study, schemas, results))
        problems |= dict.fromkeys(_reference_problems(config, study, schemas, metric))
    tests = {settings(config, schemas, "splits", result.split)["test"] for result in results}
    if metric == "explained_share" and tests <= OVER_FOLDS:
        problems[
            "primary.metric: 'explained_share' is not given where runs or parts are tested in turn (its null is not 0 "
            "there), and so no models are compared by it; take r or R2, or a split with one test set"
        ] = None
    if "latents" in study and Direction.REPRESENT not in directions:
        problems["latents: no model of this study has direction 'represent', and only these give codes"] = None
    for name in study.get("figures", []):
        needed_tables = literal("figures", plugin_name(name, config["figures"][name]), "NEEDS")
        lacking_tables = sorted(table for table in needed_tables if TABLES[table].of not in given_traits)
        if lacking_tables:
            is_asked = any(TABLES[table].of is Trait.IS_ASKED for table in lacking_tables)
            hint = " (they come with the study's key latents)" if is_asked else ""
            problems[f"figures: {name!r} needs {lacking_tables}, which no model of this study gives{hint}"] = None
        problems |= dict.fromkeys(_figure_problems(config, study, name, metrics))
        if {"maps", "meshes"} <= set(needed_tables) and not lacking_tables:
            problems |= dict.fromkeys(_space_problems(config, schemas, name, results))
    return list(problems)


def _view_problems(config: Config, study: Config, schemas: Config, results: list[ResultKey]) -> Iterator[str]:
    """Say where no result has the primary metric in the view that the study names."""
    metric, view = study["primary"]["metric"], study["primary"]["view"]
    views: set[str] = set()
    for result in results:
        direction = settings(config, schemas, "models", result.model)["direction"]
        kind = feature_facts(config, result.feature).kind if direction == Direction.DECODE else direction
        if kind in METRICS[metric].kinds:
            views |= set(views_of(kind, dataset_facts(config, result.dataset).images))
    if view not in views:
        yield (
            f"primary.view: no model of this study gives {metric!r} in the view {view!r}; {nearest(view, views)} "
            "(encoders are scored on averaged repeats; where no picture is repeated each trial is scored)"
        )


def _space_problems(config: Config, schemas: Config, figure: str, results: list[ResultKey]) -> Iterator[str]:
    """Say which responses a map would draw that do not lie on its mesh."""
    entry = settings(config, schemas, "figures", figure)
    chosen = [
        result
        for result in results
        if settings(config, schemas, "models", result.model)["direction"] == Direction.ENCODE
        and all(
            not entry[key] or name in entry[key]
            for key, name in (("models", result.model), ("features", result.feature), ("responses", result.response))
        )
    ]
    space_of_response = {
        result.response: settings(config, schemas, "responses", result.response)["space"] for result in chosen
    }
    others = sorted(name for name, space in space_of_response.items() if space != FSAVERAGE5)
    if others:
        fitting = sorted(set(space_of_response) - set(others))
        yield (
            f"figures.{figure}: responses {others} do not lie on {FSAVERAGE5}, on which it is drawn; "
            + (f"set its key responses to {fitting}" if fitting else "take it off the study's figures")
        )


def _reference_problems(config: Config, study: Config, schemas: Config, metric: str) -> Iterator[str]:
    """Say where a reference is no model of the study, or several models that would be compared with each other."""
    reference = study.get("reference")
    if not reference:
        return
    models_of_comparison: dict[tuple[str, ...], set[tuple[str, str, str]]] = {}
    kinds_with_metric = METRICS[metric].kinds
    for result in expand(config, study):
        direction = settings(config, schemas, "models", result.model)["direction"]
        kind = feature_facts(config, result.feature).kind if direction == Direction.DECODE else direction
        name = pooled_name(result.model) if result.subject == POOLED else result.model
        for subject in subjects_of(config, result.dataset, result.subject):
            if kind in kinds_with_metric:
                key = (result.dataset, subject, str(direction), result.split)
                models_of_comparison.setdefault(key, set()).add((result.response, result.feature, name))
    for place, part in enumerate(MODEL_KEYS):
        names = {model[place] for models in models_of_comparison.values() for model in models}
        if part in reference and reference[part] not in names:
            yield f"reference.{part}: no {part} {reference[part]!r} gives {metric!r}; {nearest(reference[part], names)}"
            return
    references_of_comparison = {
        comparison: [
            model for model in models if reference.items() <= dict(zip(MODEL_KEYS, model, strict=True)).items()
        ]
        for comparison, models in models_of_comparison.items()
    }
    if not any(references_of_comparison.values()):
        yield f"reference: no result of this study is {reference}, only its parts are in it"
    for comparison, references in references_of_comparison.items():
        if len(references) > 1:
            titles = ", ".join(" · ".join(model) for model in sorted(references))
            yield (
                f"reference: found {reference}, which means {len(references)} models of {' '.join(comparison[:2])} "
                f"({titles}); add the key feature or response, so that it means one"
            )
            return


def _figure_problems(config: Config, study: Config, figure: str, metrics: set[str]) -> Iterator[str]:
    """Say which models, subjects and metrics a figure's entry names that the study does not have."""
    figure_path, entry, results = f"figures.{figure}", config["figures"][figure] or {}, expand(config, study)
    models = {name for result in results for name in (result.model, pooled_name(result.model))}
    names_of_key = {"model": models, "models": models, "subjects": {result.subject for result in results}}
    for key in names_of_key.keys() & entry.keys():
        for name in entry[key] if isinstance(entry[key], list) else [entry[key]]:
            if name and name not in names_of_key[key]:
                kind = "subject" if key == "subjects" else "model"
                yield f"{figure_path}.{key}: this study has no {kind} {name!r}; {nearest(name, names_of_key[key])}"
    for name in (panel["metric"] for panel in entry.get("panels", [])):
        if name not in metrics:
            yield f"{figure_path}.panels: no model of this study gives {name!r}; {nearest(name, metrics)}"


def _direction_problems(result: ResultKey, direction: str) -> Iterator[str]:
    """Say where a model's direction does not fit what it is given: one that represents sees responses or features."""
    if direction != Direction.REPRESENT and (result.feature == NONE or result.response == NONE):
        kind = "feature" if result.feature == NONE else "response"
        yield f"model {result.model!r} has direction {direction!r} and takes a {kind} of the catalogue, found {NONE!r}"
    if direction == Direction.REPRESENT and (result.feature == NONE) == (result.response == NONE):
        yield (
            f"model {result.model!r} has direction {direction!r} and takes feature {NONE!r}, or response {NONE!r} and "
            f"a feature; found response {result.response!r} and feature {result.feature!r}"
        )
