# Helpers of all rules. Needs: config/config.yaml. Makes: config, checked at parse, the chosen study,
# wildcard constraints, and functions that turn wildcards into inputs, params and resources.
import re
import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from boldflow import catalogue, planning, provenance, registry, symbols, validation
from boldflow.vocabulary.results import NONE, POOLED

try:
    # Snakemake says of a broken file that it is broken, not where
    yaml.load(
        Path("config/config.yaml").read_bytes(),
        Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
    )
except yaml.YAMLError as error:
    sys.exit(f"config/config.yaml is not YAML, no job was started: {error}")


configfile: "config/config.yaml"


SCHEMAS = registry.read_schemas(Path(workflow.basedir) / "workflow" / "schemas")
STUDY_FILES = {
    path.stem: path
    for path in sorted(Path(workflow.basedir, "config", "studies").glob("*.yaml"))
}
STUDIES = {}
RESULTS = {}
TABLES_OF = {}


def stop(where, problems):
    """End parsing with one clear message."""
    sys.exit(
        "\n".join(
            [f"{where}: {len(problems)} problem(s), no job was started", *problems]
        )
    )


def read_study(name):
    """Read and check a study's file once."""
    if name not in STUDIES:
        if name not in STUDY_FILES:
            stop(
                "config key study",
                [f"no study {name!r}; {registry.nearest(name, STUDY_FILES)}"],
            )
        try:
            study = yaml.safe_load(STUDY_FILES[name].read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            stop(STUDY_FILES[name], [f"not YAML: {error}"])
        problems = validation.study_problems(
            config, study, SCHEMAS, Draft202012Validator
        )
        if problems:
            stop(STUDY_FILES[name], problems)
        STUDIES[name] = {"description": "", "figures": [], **study, "name": name}
    return STUDIES[name]


def chosen_study():
    """Name the study of this run; a path to a file of one's own becomes a study of that file's name."""
    name = str(config["study"])
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            stop(
                "config key study",
                [
                    f"there is no file {name!r}; {registry.nearest(path.stem, STUDY_FILES)}"
                ],
            )
        if (
            path.stem in STUDY_FILES
            and STUDY_FILES[path.stem].resolve() != path.resolve()
        ):
            stop(
                "config key study",
                [
                    f"{name!r} has the name of a study that exists, {path.stem!r}: rename the file"
                ],
            )
        STUDY_FILES[path.stem] = path
        name = path.stem
    read_study(name)
    return name


def one_of(names):
    """Give the wildcard constraint that allows exactly these names."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


def fill(pattern, wildcards):
    """Put wildcards into a pattern such as '{model}'."""
    return pattern.format(**dict(wildcards.items()))


def settings_of(section, pattern):
    """Hand a catalogue entry, defaults filled in, as canonical text: unordered params would rerun everything.

    Where this machine finds a data set is left out: it changes no result, and only fetching is told (places_of).
    """

    def settings(wildcards):
        entry = catalogue.settings(config, SCHEMAS, section, fill(pattern, wildcards))
        return provenance.canonical(
            {key: entry[key] for key in entry if key not in catalogue.PLACES}
        )

    return settings


def places_of(section, pattern):
    """Hand what a catalogue entry says of where this machine finds things, as canonical text."""

    def places(wildcards):
        return provenance.canonical(
            catalogue.places(config, section, fill(pattern, wildcards))
        )

    return places


def pictures_of_dataset(wildcards):
    """Hand where the user's pictures are and how they look from outside (names, sizes, times), as canonical text."""
    root = catalogue.places(config, "datasets", wildcards.dataset).get("stimuli_root")
    return provenance.canonical(
        {"stimuli_root": root, **provenance.look(Path(root).expanduser())}
        if root
        else {}
    )


def folder_of_recording(wildcards):
    """Hand how the user's own folder of a recording looks from outside, as canonical text; none for most."""
    if not catalogue.outside(config, wildcards.dataset, wildcards.recording):
        return ""
    root = catalogue.places(config, "datasets", wildcards.dataset).get("betas_root", "")
    return provenance.canonical(
        {"betas_root": root, **provenance.look(Path(root).expanduser())}
    )


def region_files_of_response(wildcards):
    """Hand the files that give a subject's regions and how they look from outside, as canonical text."""
    regions = catalogue.region_files(
        config["responses"][wildcards.response], wildcards.subject
    )
    return provenance.canonical(
        {
            name: [
                row | provenance.look(Path(row["path"]).expanduser()) for row in rows
            ]
            for name, rows in regions.items()
        }
    )


def files_of_folder(names):
    """Hand how the files of some names look in a data set that is a folder of the user's own; none for others."""

    def files(wildcards):
        entry = config["datasets"][wildcards.dataset] or {}
        if "folder" not in entry:
            return ""
        folder = Path(entry["folder"]).expanduser()
        return provenance.canonical(provenance.look(folder, fill(names, wildcards)))

    return files


def code_of(name, plugin=None):
    """Digest what the rule of a name and the plug-in of its entry may run; an edit of that shows, a comment does not."""

    def code(wildcards):
        dotted = plugin and registry.plugin_module(
            config, plugin[0], fill(plugin[1], wildcards)
        )
        return symbols.code_text(name, dotted)

    return code


def facts_of(section, pattern):
    """Hand the facts of an entry's plug-in as canonical text."""

    def facts(wildcards):
        return provenance.canonical(
            catalogue.facts(config, section, fill(pattern, wildcards))
        )

    return facts


def wildcard_names(wildcards):
    """Hand the wildcards as canonical text."""
    return provenance.canonical(dict(wildcards.items()))


def threads_of_model(wildcards):
    """Give as many threads as the model's facts say it computes with."""
    return catalogue.facts(config, "models", wildcards.model)["threads"]


def gpus_of_model(wildcards):
    """Ask for one GPU where the model's facts say so."""
    return int(
        catalogue.facts(config, "models", wildcards.model).get("device") == "cuda"
    )


def gpus_of_feature(wildcards):
    """Ask for one GPU where the feature's entry or facts say so."""
    return int(catalogue.device_of_feature(config, wildcards.feature) == "cuda")


def gpus_of_gathering(wildcards):
    """Ask for one GPU where the feature does and no shards have described the pictures already."""
    gathers = catalogue.shards_of_feature(config, wildcards.feature)
    return 0 if gathers else gpus_of_feature(wildcards)


def memory_of_feature(wildcards, attempt):
    """Ask for 4 GB, or 12 where a network is opened, doubled at each new attempt."""
    opens = catalogue.opens_checkpoint(config, wildcards.feature)
    return growing(12000 if opens else 4000)(wildcards, attempt)


def checkpoint_of_feature(wildcards):
    """Receipt of the network that a feature opens; none where it opens none, or one of random weights."""
    opens = catalogue.opens_checkpoint(config, wildcards.feature)
    return [f"resources/receipts/checkpoints/{wildcards.feature}.json"] if opens else []


def shards_of_feature(wildcards):
    """Shards of a feature in their order; none where one job describes all pictures."""
    return [
        f"results/{wildcards.dataset}/features/{wildcards.feature}.shard-{shard}.safetensors"
        for shard in catalogue.shards_of_feature(config, wildcards.feature)
    ]


def members_of_feature(wildcards):
    """Features that a feature joins, in its order; none for one that describes the stimuli itself."""
    return [
        f"results/{wildcards.dataset}/features/{name}.npy"
        for name in catalogue.members_of_feature(config, wildcards.feature)
    ]


def member_indexes_of_feature(wildcards):
    """Indexes of the features that a feature joins, in its order."""
    return [
        f"results/{wildcards.dataset}/features/{name}.parquet"
        for name in catalogue.members_of_feature(config, wildcards.feature)
    ]


def size_mb(files):
    """Add up files in MiB. Snakemake's own `input.size_mb` starts an event loop for each job."""
    return sum(Path(file).stat().st_size for file in files) / 2**20


def more_memory(wildcards, attempt, input):
    """Ask for memory by the size of the inputs, doubled at each new attempt."""
    return int(max(2000, 1000 + 6 * size_mb(input)) * 2 ** (attempt - 1))


def growing(amount):
    """Ask for an amount (MB or minutes) that is doubled at each new attempt."""

    def amount_of(wildcards, attempt):
        return amount * 2 ** (attempt - 1)

    return amount_of


def results_of(study):
    """List a study's results, once for all that ask."""
    if study not in RESULTS:
        RESULTS[study] = catalogue.expand(config, read_study(study))
    return RESULTS[study]


def paths(pattern, study):
    """Fill a pattern for each result of a study, each path once, in the study's order.

    What comes before models is each subject's own, where subjects are pooled too.
    """
    found = results_of(study)
    if "{model}" not in pattern:
        found = catalogue.by_subject(config, found)
        if "{response}" in pattern:
            found = [result for result in found if result.response != NONE]
    return list(dict.fromkeys(pattern.format(**vars(result)) for result in found))


def paths_of_features(pattern, study):
    """Fill a pattern for each feature of a study; a model of responses alone has none."""
    return list(
        dict.fromkeys(
            pattern.format(**vars(result))
            for result in results_of(study)
            if result.feature != NONE
        )
    )


def features_of_run(wildcards):
    """Features of this run's study."""
    return paths_of_features("results/{dataset}/features/{feature}.npy", STUDY)


def file_of_feature(suffix):
    """File of a result's feature; none where the model sees only responses."""

    def file(wildcards):
        if wildcards.feature == NONE:
            return []
        return f"results/{wildcards.dataset}/features/{wildcards.feature}.{suffix}"

    return file


def paths_of_run(pattern):
    """Fill a pattern for this run's study when a target asks: the Snakefile is parsed again in each job."""

    def paths_of_target(wildcards):
        return paths(pattern, STUDY)

    return paths_of_target


def trials_of_dataset(wildcards):
    """Trial tables of all subjects of a data set: a split is written once for all."""
    names = catalogue.subjects(config, wildcards.dataset)
    return [
        f"results/{wildcards.dataset}/{subject}/trials.parquet" for subject in names
    ]


def for_each_subject(pattern):
    """Fill a pattern for each subject that a result reads: one, unless subjects are pooled; no responses of none."""

    def paths_of_subjects(wildcards):
        names = catalogue.subjects_of(config, wildcards.dataset, wildcards.subject)
        known = dict(wildcards.items())
        if "{response}" in pattern and wildcards.response == NONE:
            return []
        return [pattern.format(**{**known, "subject": name}) for name in names]

    return paths_of_subjects


def subjects_of_result(wildcards):
    """Hand the subjects that a result reads as canonical text."""
    return provenance.canonical(
        catalogue.subjects_of(config, wildcards.dataset, wildcards.subject)
    )


SUBJECT_RECEIPT = "resources/receipts/{dataset}/{subject}/{recording}.json"


def recording_of(pattern):
    """Name the recording that a response reads."""

    def recording(wildcards):
        return catalogue.recording(config, wildcards.dataset, fill(pattern, wildcards))

    return recording


def receipt_of_response(wildcards):
    """Receipt of the recording that a response reads."""
    name = catalogue.recording(config, wildcards.dataset, wildcards.response)
    return SUBJECT_RECEIPT.format(recording=name, **dict(wildcards.items()))


def response_of_split(wildcards):
    """Hand the response whose windows must not overlap from training to test, as canonical text; none for most."""
    name = (config["splits"][wildcards.split] or {}).get("windows_of")
    return settings_of("responses", name)(wildcards) if name else ""


def split_of_response(wildcards):
    """The split from whose training trials a response takes its statistics; none where from all volumes."""
    name = catalogue.split_of_response(config, wildcards.response)
    return [f"results/{wildcards.dataset}/splits/{name}.parquet"] if name else []


def hrf_table_of_response(wildcards):
    """The user's table of haemodynamic responses that a response reads; none for most."""
    path = catalogue.hrf_table_of_response(config, wildcards.response)
    return [str(Path(path).expanduser())] if path else []


def receipts_of_run(wildcards):
    """Receipts of all that this run's study needs from a network."""
    found = paths("resources/receipts/{dataset}/dataset.json", STUDY)
    found += paths("resources/receipts/{dataset}/stimuli.json", STUDY)
    for result in catalogue.by_subject(config, results_of(STUDY)):
        if result.response != NONE:
            name = catalogue.recording(config, result.dataset, result.response)
            found.append(SUBJECT_RECEIPT.format(recording=name, **vars(result)))
        if catalogue.opens_checkpoint(config, result.feature):
            found.append(f"resources/receipts/checkpoints/{result.feature}.json")
    return list(dict.fromkeys(found))


def datasets_of_split(wildcards):
    """A split's own data set, then those among which it seeks duplicates."""
    rule_ = catalogue.settings(config, SCHEMAS, "splits", wildcards.split)
    return [wildcards.dataset, *(d for d in rule_["against"] if d != wildcards.dataset)]


def packed_datasets_of_split(wildcards):
    """The data sets of a split, if the pictures of all of them are at hand: else it groups by identity only."""
    names = datasets_of_split(wildcards)
    at_hand = all(catalogue.stimuli_at_hand(config, name) for name in names)
    return names if at_hand else []


def packs_of_split(wildcards):
    """Stimulus packs, the data set's own first; none where a data set of the split has no pictures at hand."""
    return [f"results/{d}/stimuli.h5" for d in packed_datasets_of_split(wildcards)]


def pack_tables_of_split(wildcards):
    """Stimulus tables, the data set's own first; none where a data set of the split has no pictures at hand."""
    return [f"results/{d}/stimuli.parquet" for d in packed_datasets_of_split(wildcards)]


RESULT = "results/{dataset}/{subject}/{response}/{feature}/{model}/{split}"


def scores_of_study(wildcards):
    """Score tables of a study."""
    return paths(f"{RESULT}/scores.parquet", wildcards.study)


def draws_of_study(wildcards):
    """Bootstrap draws of a study's scores."""
    return paths(f"{RESULT}/draws.npy", wildcards.study)


def draw_indexes_of_study(wildcards):
    """Which score each row of a study's bootstrap draws is of."""
    return paths(f"{RESULT}/draws.parquet", wildcards.study)


def rivals(study):
    """List a study's encoders that have another to be compared with: of the same subject, responses and split."""
    return [
        result
        for group in catalogue.rivals(config, SCHEMAS, results_of(study))
        for result in group
    ]


def for_each_rival(pattern):
    """Fill a pattern for each encoder that is compared, in one order, as often as it comes."""

    def paths_of_rivals(wildcards):
        return [pattern.format(**vars(result)) for result in rivals(wildcards.study)]

    return paths_of_rivals


def rivals_of_study(name):
    """Files of the encoders that are compared."""
    return for_each_rival(f"{RESULT}/{name}")


def responses_of_rivals(name):
    """Files of the responses that they predict."""
    return for_each_rival(f"results/{{dataset}}/{{subject}}/{{response}}/{name}")


def features_of_rivals(suffix):
    """Features that they read, or the index of these."""
    return for_each_rival(f"results/{{dataset}}/features/{{feature}}.{suffix}")


trials_of_rivals = for_each_rival("results/{dataset}/{subject}/trials.parquet")
splits_of_rivals = for_each_rival("results/{dataset}/splits/{split}.parquet")


def names_of_rivals(wildcards):
    """Hand the wildcards of the encoders that are compared as canonical text."""
    return provenance.canonical(
        {"results": [vars(result) for result in rivals(wildcards.study)]}
    )


def wins_of_study(study):
    """Win shares of a study; none where no two encoders can be compared."""
    found = [
        f"results/studies/{study}/win_shares.parquet",
        f"results/studies/{study}/win_shares.csv",
    ]
    return found if rivals(study) else []


LATENTS = "results/studies/{study}/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}"


def codes_of_study(study):
    """List the results of a study whose codes are asked for a class; none where the study asks nothing."""
    if "latents" not in read_study(study):
        return []
    return catalogue.represented(config, SCHEMAS, results_of(study))


def latents_of_study(name):
    """Tables of a study's codes, one of each result."""

    def tables(wildcards):
        path = f"{LATENTS}/{name}.parquet"
        found = codes_of_study(wildcards.study)
        return [path.format(study=wildcards.study, **vars(one)) for one in found]

    return tables


def separations_of_study(study):
    """What a study's codes say of a class; none where it asks nothing."""
    found = [
        f"results/studies/{study}/separations.{ending}" for ending in ("parquet", "csv")
    ]
    return found if codes_of_study(study) else []


def matched_of_study(study):
    """List the results of a study whose units are matched; none where it asks for none."""
    wanted = catalogue.latents(read_study(study), SCHEMAS).get("match", [])
    return [one for one in codes_of_study(study) if one.model in wanted]


def codes_of_matched(wildcards):
    """Codes whose units are matched, in order."""
    path = f"{LATENTS}/codes.parquet"
    found = matched_of_study(wildcards.study)
    return [path.format(study=wildcards.study, **vars(one)) for one in found]


def names_of_matched(wildcards):
    """Hand the wildcards of the results whose units are matched as canonical text."""
    found = [vars(one) for one in matched_of_study(wildcards.study)]
    return provenance.canonical({"results": found})


def matches_of_study(study):
    """What units of a study's codes are found again in others; none where it asks for none."""
    found = [
        f"results/studies/{study}/matches.{ending}" for ending in ("parquet", "csv")
    ]
    return found if matched_of_study(study) else []


def settings_of_latents(wildcards):
    """Hand what a study asks of codes as canonical text."""
    return provenance.canonical(catalogue.latents(read_study(wildcards.study), SCHEMAS))


def config_of_study(wildcards):
    """Hand the study as canonical text."""
    return provenance.canonical(read_study(wildcards.study))


def benchmarks_of_study(wildcards):
    """Name the cost records of a study; they are read where they are, and never make a result differ."""
    name = "{dataset}_{subject}_{response}_{feature}_{model}_{split}"
    found = paths(f"benchmarks/train_model/{name}.tsv", wildcards.study)
    found += paths(f"benchmarks/score_model/{name}.tsv", wildcards.study)
    found += [
        f"benchmarks/analyse_latents/{wildcards.study}_{name}.tsv".format(**vars(one))
        for one in codes_of_study(wildcards.study)
    ]
    found += paths(
        "benchmarks/project_responses/{dataset}_{subject}_{response}.tsv",
        wildcards.study,
    )
    found += paths_of_features(
        "benchmarks/cache_features/{dataset}_{feature}.tsv", wildcards.study
    )
    for result in results_of(wildcards.study):
        name = f"benchmarks/extract_shard/{result.dataset}_{result.feature}"
        shards = catalogue.shards_of_feature(config, result.feature)
        found += [f"{name}_{shard}.tsv" for shard in shards]
        if catalogue.opens_checkpoint(config, result.feature):
            found.append(f"benchmarks/fetch_checkpoint/{result.feature}.tsv")
    found += paths("benchmarks/make_split/{dataset}_{split}.tsv", wildcards.study)
    found += paths("benchmarks/fetch_dataset/{dataset}.tsv", wildcards.study)
    found += paths("benchmarks/fetch_stimuli/{dataset}.tsv", wildcards.study)
    found += paths("benchmarks/pack_stimuli/{dataset}.tsv", wildcards.study)
    for result in catalogue.by_subject(config, results_of(wildcards.study)):
        if result.response != NONE:
            name = catalogue.recording(config, result.dataset, result.response)
            who = f"{result.dataset}_{result.subject}"
            found.append(f"benchmarks/fetch_subject/{who}_{name}.tsv")
    found += paths("benchmarks/list_trials/{dataset}_{subject}.tsv", wildcards.study)
    return list(dict.fromkeys(found))


def tables_of_study(study):
    """Say where the tables of a study are that its figures and its report need, once for all that ask."""
    if study not in TABLES_OF:
        TABLES_OF[study] = planning.StudyTables(
            config, SCHEMAS, read_study(study), results_of(study)
        )
    return TABLES_OF[study]


def tables_of_figure(wildcards):
    """Files of each table that a figure draws, by the table's name."""
    return tables_of_study(wildcards.study).of_figure(wildcards.figure)


def tables_of_report(wildcards):
    """Files of each table that the report shows, by the table's name."""
    return tables_of_study(wildcards.study).of_report()


def facts_of_study(wildcards):
    """Hand the facts of a study's data sets as canonical text."""
    names = sorted({result.dataset for result in results_of(wildcards.study)})
    return provenance.canonical(
        {name: catalogue.facts(config, "datasets", name) for name in names}
    )


def captions_of_study(wildcards):
    """Hand titles and captions of a study's figures as canonical text."""
    names = read_study(wildcards.study)["figures"]
    return provenance.canonical(
        {name: catalogue.facts(config, "figures", name) for name in names}
    )


problems = validation.config_problems(config, SCHEMAS, Draft202012Validator)
if problems:
    stop("configuration (config/config.yaml and --config)", problems)
STUDY = chosen_study()


SUBJECTS = {
    name
    for dataset in config["datasets"]
    for name in catalogue.subjects(config, dataset)
}
SUBJECTS_OR_POOLED = one_of({*SUBJECTS, POOLED, NONE})


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    subject=one_of(SUBJECTS),
    recording=one_of(catalogue.recordings(config)),
    response=one_of([*config["responses"], NONE]),
    feature=one_of([*config["features"], NONE]),
    shard=r"\d+-of-\d+",
    model=one_of(config["models"]),
    split=one_of(config["splits"]),
    figure=one_of(config["figures"]),
    study=one_of(STUDY_FILES),
