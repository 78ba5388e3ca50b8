"""What each rule's digest covers, and what an edit of the package reruns: by digests alone."""

import shutil
import statistics

import pytest

from boldflow import symbols
from boldflow.symbols.package import Package
from boldflow.symbols.reach import Reach
from boldflow.symbols.rules import roots_of
from tests.conftest import ROOT
from tests.made import reruns

ARRIVAL = ("artifacts.arrival", "stages.fetch")
DRAWN = ("drawing", "figures", "report")
FETCHING = {"fetch_dataset", "fetch_subject", "fetch_stimuli"}
BEFORE_SCORES = {*FETCHING, "fetch_checkpoint", "list_trials", "pack_stimuli", "make_split", "project_responses"}
BEFORE_SCORES |= {"extract_shard", "cache_features", "train_model"}
# rooms (or modules) of the package that no digest of a rule may hold, and some that it must
FITTING = ("core.linear", "core.networks")
ANALYSED = (*ARRIVAL, *DRAWN, "datasets", "features", "models", "core.linear")
TABLE = {
    "fetch_dataset": (
        (*DRAWN, "models", "features", "core.scores", "core.linear", "core.networks"),
        ("artifacts.arrival",),
    ),
    "fetch_subject": (
        (*DRAWN, "models", "features", "core.scores", "core.linear", "core.networks"),
        ("artifacts.arrival",),
    ),
    "fetch_stimuli": (
        (*DRAWN, "models", "features", "core.scores", "core.linear", "core.networks"),
        ("artifacts.arrival",),
    ),
    "fetch_checkpoint": ((*DRAWN, "models", "datasets", "core.scores", "core.linear", "core.networks"), ("features",)),
    "list_trials": ((*DRAWN, "models", "features", "core.scores", "core.linear"), ("datasets", "stages.trials")),
    "pack_stimuli": ((*DRAWN, "models", "features", "core.scores", "core.linear"), ("artifacts.store.stimuli",)),
    "make_split": ((*DRAWN, "models", "features", "core.scores", "core.linear"), ("core.splits",)),
    "project_responses": ((*DRAWN, "models", "features", "core.scores", "core.linear"), ("core.responses",)),
    "extract_shard": ((*DRAWN, "models", "datasets", "core.scores", "core.linear"), ("stages.features",)),
    "cache_features": ((*DRAWN, "models", "datasets", "core.scores", "core.linear"), ("stages.features",)),
    "train_model": (
        (*ARRIVAL, *DRAWN, "datasets", "features", "core.scores", "core.responses", "vocabulary.metrics"),
        ("models", "core.linear", "registry", "settings", "provenance"),
    ),
    "score_model": ((*ARRIVAL, *DRAWN, "datasets", "features"), ("core.scores", "core.responses.ceilings")),
    "analyse_latents": ((*ARRIVAL, *DRAWN, "datasets", "features"), ("core.scores.latents",)),
    "collect_scores": (
        ANALYSED,
        ("artifacts.store.leaderboard",),
    ),
    "collect_costs": ((*ARRIVAL, *DRAWN, "datasets", "features", "models", "core"), ("stages.studies.collect_costs",)),
    "collect_separations": (ANALYSED, ("stages.studies",)),
    "compare_encoders": (ANALYSED, ("core.scores",)),
    "match_units": (ANALYSED, ("core.scores.matching",)),
    "draw_figure": ((*ARRIVAL, "report", "datasets", "features", "models", "core.linear"), ("figures", "drawing")),
    "write_report": ((*ARRIVAL, "figures", "datasets", "features", "models", "core.linear"), ("report.page",)),
}


@pytest.fixture(scope="module")
def maps():
    return reruns.all_definitions()


def rooms(module: str) -> set[str]:
    """List a module and the packages that it is in, without the leading name."""
    parts = module.split(".")[1:]
    return {".".join(parts[:n]) for n in range(1, len(parts) + 1)}


def test_the_table_has_every_rule(maps):
    assert {rule for rule, _ in maps} == set(TABLE)


@pytest.mark.parametrize("rule", TABLE)
def test_a_rule_holds_what_it_runs_and_nothing_of_other_rooms(maps, rule):
    never, always = TABLE[rule]
    for (name, plugin), codes in maps.items():
        if name == rule:
            modules = {key.partition(":")[0] for key in codes}
            held = set().union(*map(rooms, modules))
            assert not held & set(never), f"{rule} with {plugin}"
            assert set(always) <= held, f"{rule} with {plugin}"
            assert plugin is None or plugin in modules
            of_section = {module for module in modules if plugin and module.startswith(plugin.rpartition(".")[0] + ".")}
            assert all(module == plugin or module.startswith(f"{plugin}.") for module in of_section), "of no sibling"


def test_the_report_loads_no_torch():
    reach = Reach(Package(ROOT / "src" / "boldflow"))
    libraries = {}
    for rule in ("write_report", "train_model"):
        _, loaded = reach.reached(
            *roots_of(reach.package, rule), *(["boldflow.models.sae:*"] if rule == "train_model" else [])
        )
        libraries[rule] = {library for module in loaded for library in reach.package.module(module).libraries}
    assert "torch" in libraries["train_model"] and "torch" not in libraries["write_report"]


def test_any_edit_of_annex_get_changes_fetching_alone(maps):
    for module, name, definition in reruns.functions():
        if module == "boldflow.artifacts.arrival.annex_get":
            assert {rule for rule, _ in reruns.changed_by(maps, module, definition)} <= FETCHING, name


ADAPTER = "workflow/scripts/score_model.py"
NEW_METRIC = ('        Metric("top1"', '        Metric("new", "New", ("embedding",)),\n        Metric("top1"')
NEW_KEY = ("SETTINGS: dict[str, dict[str, Any]] = {", 'SETTINGS: dict[str, dict[str, Any]] = {"new": {},')
NEW_FIELD = ("class DataFacts:", "class DataFacts:\n    NEW = 1\n")
DESCRIBING = {"extract_shard", "cache_features"}
OF_MODELS = {"train_model", "score_model"}
# by section: the edit, rules whose digest changes, rules whose digest stays
NEW_FACTS = {
    section: (
        (f"class {section[:-1].capitalize()}Facts:", f"class {section[:-1].capitalize()}Facts:\n    NEW = 1\n"),
        changed,
        set(TABLE) - changed - further,
    )
    for section, changed, further in (
        ("datasets", FETCHING, set()),
        ("features", DESCRIBING, set()),
        ("models", OF_MODELS, {"analyse_latents"}),
        ("figures", {"write_report"}, set()),
    )
}
# file, text, another text, rules whose digest must change, rules whose digest must not
EDITS = {
    "annex_get": ("artifacts/arrival/annex_get.py", None, FETCHING, set(TABLE) - FETCHING),
    "a rank": ("core/scores/metrics.py:ranks", None, {"score_model"}, BEFORE_SCORES),
    "an interval": ("core/scores/statistics.py:percentile_interval", None, {"score_model"}, BEFORE_SCORES),
    "a ceiling": ("core/responses/ceilings.py:noise_ceiling", None, {"score_model"}, BEFORE_SCORES),
    "name of pooled models": ("vocabulary/results.py:pooled_name", None, {"score_model"}, BEFORE_SCORES),
    "a metric": ("vocabulary/metrics.py", NEW_METRIC, {"score_model"}, BEFORE_SCORES),
    "the report's template": ("report/page.html", ("<html", "<html "), {"write_report"}, set(TABLE) - {"write_report"}),
    "a page's helper": ("report/page.py", None, {"write_report"}, set(TABLE) - {"write_report"}),
    "an adapter": (ADAPTER, ("score_model.run(", "score_model.run(*[], "), {"score_model"}, set()),
    "a comment in an adapter": (ADAPTER, ("start(snakemake)", "start(snakemake)  # so"), set(), set(TABLE)),
    "a key of a data set": ("datasets/sim/__init__.py", NEW_KEY, FETCHING, {"train_model", "score_model"}),
    "a key of a figure": (
        "figures/ceiling_map.py",
        ("SETTINGS = {", 'SETTINGS = {"new": {},'),
        {"draw_figure"},
        set(TABLE) - {"draw_figure"},
    ),
    "a fact of data sets in scores": ("core/records/facts.py", NEW_FIELD, {"score_model"}, BEFORE_SCORES),
    **{f"a fact of {section}": ("vocabulary/facts.py", *edit) for section, edit in NEW_FACTS.items()},
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digests")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    return folder


def edited(text: str, function: str) -> str:
    """Put a line into a function; into the first of the file where none is named."""
    lines = text.splitlines(keepends=True)
    tree = reruns.ast.parse(text)
    nodes = [node for node in tree.body if isinstance(node, reruns.ast.FunctionDef) and function in ("", node.name)]
    first = nodes[0].body[-1]
    lines.insert(first.lineno - 1, " " * first.col_offset + "0 == 0\n")
    return "".join(lines)


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_changes_the_digests_of_exactly_the_rules_that_may_run_it(copy, maps, what):
    place, texts, changed, same = EDITS[what]
    path, _, function = place.partition(":")
    file = copy / path if path.startswith("workflow") else copy / "src/boldflow" / path
    text = file.read_text()
    new = edited(text, function) if texts is None else text.replace(*texts, 1)
    assert new != text
    try:
        file.write_text(new)
        after = reruns.all_definitions(copy, Reach(reruns.Shared(copy / "src/boldflow")))
    finally:
        file.write_text(text)
    rules = {rule for (rule, plugin), codes in after.items() if codes != maps[rule, plugin]}
    assert changed <= rules and not same & rules


def test_an_edit_of_one_function_changes_few_digests_and_trains_few_models_again():
    """Whole modules, as digests went before, gave 21.0 of 149 pairs and 30 % at the commit where this began."""
    edits = reruns.per_function(ROOT)
    assert statistics.mean(map(len, edits)) <= 11
    assert statistics.mean(any(rule == reruns.TRAIN for rule, _ in edit) for edit in edits) <= MOST_TRAINED


MOST_TRAINED = 0.15  # of all functions: what fits some of 13 models (bench/records/digests.md)


def test_no_digest_holds_all(maps):
    assert max(len(codes) for codes in maps.values()) < len(list(reruns.functions())) / 3


def test_every_rule_with_a_plugin_names_its_section(maps):
    assert {rule for rule, plugin in maps if plugin is None} == {
        *("collect_scores", "collect_costs", "collect_separations", "compare_encoders", "match_units", "write_report"),
    }
    assert all(symbols.code_map(*pair)[symbols.ROOTS] for pair in list(maps)[:3])
