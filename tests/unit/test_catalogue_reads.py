"""What each rule reads of an entry: exactly the keys that its functions ask for, cut to the subject of the job."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from boldflow import catalogue, registry
from boldflow.settings import NotHandedError, read_entry
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
# functions of a data set's plug-in that each rule calls with the entry; files_needed is told apart by what is needed
FUNCTIONS = {
    "fetch_dataset": ["source", "files_needed"],
    "fetch_subject": ["source", "files_needed"],
    "fetch_stimuli": ["source", "files_needed", "trials", "named_pictures"],
    "list_trials": ["trials"],
    "pack_stimuli": ["stimuli"],
    "project_responses": ["runs", "betas", "rois"],
}
COUNTS = ("fetch_stimuli", "trials")
# keys of each data set, and the rules that run again when one changes
RULES = {
    "algonauts2023": {
        "folder": {"fetch_dataset"},
        "subjects": {"fetch_dataset", "fetch_stimuli", "pack_stimuli"},
        "stim_info": {"fetch_dataset", "fetch_stimuli", "list_trials", "pack_stimuli"},
        "coco_categories": {"fetch_stimuli", "pack_stimuli"},
        "regions": {"fetch_dataset", "fetch_subject", "project_responses"},
        "block": {"list_trials"},
        "simulated": {"list_trials", "project_responses"},
    },
    "bids": {
        "folder": {"fetch_dataset"},
        "subjects": {"fetch_dataset", "fetch_stimuli"},
        "task": {"fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "project_responses"},
        # an inherited table, and what is left out, hang on the BOLD there is
        "entities": {"fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "project_responses"},
        "derivatives": {"fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "project_responses"},
        "space": {"fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "project_responses"},
        "leave_out": {"fetch_dataset", "fetch_stimuli", "list_trials"},
        "scanned_after_onset_s": {"fetch_stimuli", "list_trials"},
        "slice_time_ref": {"project_responses"},
        "events_where": {"fetch_stimuli", "list_trials"},
        "image_column": {"fetch_stimuli", "list_trials"},
        "image_name": {"fetch_stimuli", "pack_stimuli"},
        "tr_s": set(),  # a fact: see the table of facts
    },
    "bold5000": {"subjects": {"fetch_stimuli"}, "slice_time_ref": {"project_responses"}},
    "god": {"subjects": {"fetch_stimuli"}, "slice_time_ref": {"project_responses"}},
    "haxby": {"subjects": set(), "slice_time_ref": {"project_responses"}},
    "nod": {
        "subjects": {"fetch_dataset"},
        "tasks": {
            *("fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "pack_stimuli", "project_responses"),
        },
    },
    "nsd": {
        "subjects": {"fetch_dataset", "pack_stimuli"},
        "sessions": {"fetch_subject", "list_trials", "pack_stimuli", "project_responses"},
        "mask": {"fetch_subject", "project_responses"},
        "regions": {"fetch_subject", "project_responses"},
        "coco_instances": {"pack_stimuli"},
        "simulated": set(),  # a fact
    },
    "nsd_flat": {
        "folder": {"fetch_dataset"},
        "subjects": {"pack_stimuli"},
        "sessions": {"list_trials", "pack_stimuli", "project_responses"},
        "mask": {"fetch_subject", "project_responses"},
        "map_size": {"project_responses"},
        "simulated": set(),  # a fact
    },
    "own_betas": {
        "folder": {"fetch_dataset"},
        "subjects": {"fetch_dataset", "fetch_stimuli"},
        "trials": {"fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "project_responses"},
        "betas": {"fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "project_responses"},
        "image_column": {"fetch_subject", "fetch_stimuli", "list_trials", "project_responses"},
        "image_name": {"fetch_stimuli", "pack_stimuli"},
        "mask": {"fetch_subject", "project_responses"},
        **{key: {"project_responses"} for key in ("dataset", "trial_axis", "mask_order", "unit")},
        "tr_s": set(),  # facts
        "simulated": set(),
    },
    "sim": {
        "subjects": set(),
        **{
            key: {"fetch_dataset", "fetch_subject", "fetch_stimuli"}
            for key in (
                *("seed", "n_runs", "n_train_images", "n_test_images", "n_test_repeats", "slot_s", "duration_s"),
                *("voxel_mm", "image_size", "noise_sd"),
            )
        },
    },
    "things_fmri": {"subjects": {"fetch_stimuli"}},
}
OF_ALL = {"turned_pictures": {"fetch_stimuli"}}
# rules that read an entry of other sections
OTHERS = {
    "responses": {"project_responses", "make_split"},
    "features": {"fetch_checkpoint", "extract_shard", "cache_features"},
    "models": {"train_model", "score_model", "analyse_latents"},
    "splits": {"make_split"},
    "figures": {"draw_figure"},
}


def keys_of(section: str, plugin: str | None) -> set[str]:
    schema = registry.entry_schema(SCHEMAS, section, plugin)["properties"]
    return {key for key in schema if key not in catalogue.PLACES and key != "plugin"}


@pytest.mark.parametrize("plugin", registry.plugins("datasets"))
def test_of_each_key_of_a_data_set_the_rules_that_run_again(plugin):
    readers = {
        key: {rule for rule in FUNCTIONS if key in catalogue.keys_read(SCHEMAS, "datasets", plugin, rule)}
        for key in keys_of("datasets", plugin)
    }
    assert readers == RULES[plugin] | OF_ALL
    assert catalogue.keys_read(SCHEMAS, "datasets", plugin, "make_split") == []


@pytest.mark.parametrize("section", OTHERS)
def test_of_each_key_of_other_sections_the_rules_that_run_again(section):
    """The rule that makes the thing reads its entry but for what others read; those say what they read of it."""
    scoring = {"permutations", "rescorings", "tfce", "protocol"}
    narrow = {
        ("responses", "make_split"): {"start_s", "duration_s"},
        ("features", "fetch_checkpoint"): {"checkpoint", "revision", "sha256", "weights"},
        ("models", "score_model"): scoring,
        ("models", "analyse_latents"): {"permutations", "protocol"},
    }
    left_out = {
        ("features", "cache_features"): {"shards", "revision", "sha256"},
        ("features", "extract_shard"): {"shards", "revision", "sha256"},
        ("models", "train_model"): scoring,
    }
    for plugin in registry.plugins(section) if section in ("features", "models", "figures") else [None]:
        for rule in OTHERS[section]:
            read = set(catalogue.keys_read(SCHEMAS, section, plugin, rule)) - {"regions_of_files"}
            of_any = set() if (section, rule) in narrow else set(catalogue.OF_ANY.get(section, []))
            most = keys_of(section, plugin) - left_out.get((section, rule), set())
            assert read == narrow.get((section, rule), most) | of_any, (plugin, rule)


@pytest.mark.parametrize("rule", ["cache_features", "extract_shard"])
@pytest.mark.parametrize("plugin", registry.plugins("features"))
def test_no_feature_asks_for_a_key_that_is_not_handed(plugin, rule):
    read = set(catalogue.keys_read(SCHEMAS, "features", plugin, rule))
    assert asked(plugin, ["extractor", "columns", "__init__", "__call__", "prepare"], "features") <= read
    files = set(catalogue.keys_read(SCHEMAS, "features", plugin, "fetch_checkpoint"))
    assert asked(plugin, ["files_needed"], "features") <= files


def test_shards_of_a_feature_are_no_parameter_of_it():
    config = {"features": {"gabor": {}, "spread": {"plugin": "gabor", "shards": 3}}}
    handed = [catalogue.handed(config, SCHEMAS, "features", name, "cache_features") for name in config["features"]]
    assert {**handed[0], "name": ""} == {**handed[1], "name": ""}


def test_a_plugin_of_any_section_may_say_what_rules_read(monkeypatch):
    whole = registry.literal
    reads = {"train_model": ["seeds"], "score_model": ["protocol"]}

    def literal(section, plugin, name):
        return reads if (section, plugin, name) == ("models", "ridge", "READS") else whole(section, plugin, name)

    monkeypatch.setattr(catalogue, "literal", literal)
    config = {"models": {"ridge": {"seeds": [3]}}}
    for rule, keys in reads.items():
        entry = read_entry(json.dumps(catalogue.handed(config, SCHEMAS, "models", "ridge", rule)))
        assert set(entry) == {*keys, "name", "plugin"}
        with pytest.raises(NotHandedError, match=f"alphas.*{rule}"):
            entry.get("alphas")


def asked(plugin: str, functions: list[str], section: str = "datasets") -> set[str]:
    """Keys that functions of a plug-in ask ``settings`` for, in whatever functions of its own they hand it to."""
    folder = Path(registry.__file__).parent / section
    files = sorted((folder / plugin).glob("*.py")) or [folder / f"{plugin}.py"]
    defined = {
        node.name: node
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    waiting, seen, keys = [name for name in functions if name in defined], set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        keys |= set(_keys(defined[name]))
        waiting += [called for called in _called_with_settings(defined[name]) if called in defined]
    return keys - {"name", "plugin"}


def _is_settings(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "settings"


def _keys(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and _is_settings(node.value) and isinstance(node.slice, ast.Constant):
            yield node.slice.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_settings(node.func.value):
            yield from (word.value for word in node.args[:1] if isinstance(word, ast.Constant))
        if isinstance(node, ast.Compare) and _is_settings(node.comparators[0]) and isinstance(node.left, ast.Constant):
            yield node.left.value


def _called_with_settings(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and any(_is_settings(word) for word in node.args):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@pytest.mark.parametrize("plugin", registry.plugins("datasets"))
def test_no_function_of_a_data_set_asks_for_a_key_that_no_rule_of_it_reads(plugin):
    for rules in (["list_trials"], ["pack_stimuli"], ["project_responses"], list(FUNCTIONS)[:3]):
        inside = registry.literal("datasets", plugin, "FACTS")["stimuli_inside"]  # nobody then counts pictures
        functions = [name for rule in rules for name in FUNCTIONS[rule] if not inside or (rule, name) != COUNTS]
        read = {key for rule in rules for key in catalogue.keys_read(SCHEMAS, "datasets", plugin, rule)}
        surplus = asked(plugin, functions) - read - {"subjects"}
        assert not surplus, (rules, surplus)


@pytest.mark.parametrize("plugin", registry.plugins("datasets"))
def test_every_rule_reads_keys_that_there_are(plugin):
    reads = registry.literal("datasets", plugin, "READS")
    assert set(reads) == set(FUNCTIONS)
    assert {key for keys in reads.values() for key in keys} <= keys_of("datasets", plugin)


CONFIG = {"datasets": {"nsd": {"subjects": ["subj01", "subj04"], "sessions": [1, 2, 38]}, "plain": {"plugin": "nsd"}}}


def handed(name: str, rule: str, subject: str = "") -> dict:
    return catalogue.handed(CONFIG, SCHEMAS, "datasets", name, rule, subject)


def test_a_job_of_one_subject_is_told_of_its_sessions_alone():
    assert handed("nsd", "project_responses", "subj01")["sessions"] == [1, 2, 38]
    assert handed("nsd", "project_responses", "subj04")["sessions"] == [1, 2]  # it has thirty
    assert handed("plain", "project_responses", "subj04")["sessions"] == list(range(1, 31))
    assert handed("nsd", "pack_stimuli")["sessions"] == [1, 2, 38]
    assert "subjects" not in handed("nsd", "project_responses", "subj01")


def test_sessions_that_a_subject_lacks_are_left_for_the_plugin_to_refuse():
    config = {"datasets": {"nsd": {"sessions": [38]}}}
    assert catalogue.handed(config, SCHEMAS, "datasets", "nsd", "list_trials", "subj04")["sessions"] == [38]


def test_a_session_and_a_subject_that_are_added_concern_those_who_have_them():
    wider = {"subjects": ["subj01", "subj02", "subj04"], "sessions": [1, 2, 38, 39]}
    for rule in ("fetch_subject", "list_trials", "project_responses"):
        before = handed("nsd", rule, "subj04")
        after = catalogue.handed({"datasets": {"nsd": wider}}, SCHEMAS, "datasets", "nsd", rule, "subj04")
        assert before == after
        assert handed("nsd", rule, "subj01")["sessions"] != [1, 2, 38, 39]


def test_what_is_handed_is_read_and_nothing_else():
    entry = read_entry(json.dumps(handed("nsd", "project_responses", "subj01")))
    assert (entry.name, entry.plugin, entry["sessions"]) == ("nsd", "nsd", [1, 2, 38])
    with pytest.raises(NotHandedError, match=r"coco_instances.*project_responses"):
        entry.get("coco_instances")


def test_numbers_of_sessions_are_those_of_the_release():
    from boldflow.artifacts.releases import nsd_tree

    for plugin in ("nsd", "nsd_flat"):
        assert registry.literal("datasets", plugin, "FACTS")["sessions"] == nsd_tree.N_SESSIONS


def test_no_entry_has_a_key_by_which_the_workflow_says_who_reads_it():
    for section in ("datasets", "features", "models", "figures"):
        for plugin in registry.plugins(section):
            assert not {"section", "rule"} & keys_of(section, plugin)


def test_facts_are_cut_to_what_a_rule_reads():
    assert catalogue.facts_read(CONFIG, "datasets", "nsd", "make_split") == {
        "images": True,
        "split_unit": "image",
        "tr_s": registry.literal("datasets", "nsd", "FACTS")["tr_s"],
    }
