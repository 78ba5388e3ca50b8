"""What rules hand to jobs as parameters: canonical text, and nothing that the job does not read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boldflow import catalogue, registry, symbols
from boldflow.planning.studies import Studies
from boldflow.provenance import canonical, look
from boldflow.registry import Config
from boldflow.vocabulary.directions import Direction

Wildcards = Any  # of Snakemake: attributes, and ``items()``
Parameter = Callable[[Wildcards], str]


@dataclass(frozen=True)
class Parameters:
    """Parameters of the rules.

    Attributes
    ----------
    config, schemas : the catalogue and the JSON schemas
    studies : the studies
    """

    config: Config
    schemas: Config
    studies: Studies
    _looks: dict[tuple[str, ...], str] = field(default_factory=dict)

    def settings_of(self, section: str, pattern: str, rule: str) -> Parameter:
        """Hand the keys of a catalogue entry that a rule reads, defaults filled in.

        Where this machine finds things is left out: it changes no result, and only fetching is told (``places_of``).
        """

        def settings(wildcards: Wildcards) -> str:
            subject = getattr(wildcards, "subject", "") if section == "datasets" else ""
            name = fill(pattern, wildcards)
            return canonical(catalogue.handed(self.config, self.schemas, section, name, rule, subject))

        return settings

    def places_of(self, section: str, pattern: str) -> Parameter:
        """Hand what a catalogue entry says of where this machine finds things."""

        def places(wildcards: Wildcards) -> str:
            return canonical(catalogue.places(self.config, section, fill(pattern, wildcards)))

        return places

    def facts_of(self, section: str, pattern: str, rule: str) -> Parameter:
        """Hand the facts of an entry's plug-in that a rule reads."""

        def facts(wildcards: Wildcards) -> str:
            return canonical(catalogue.facts_read(self.config, section, fill(pattern, wildcards), rule))

        return facts

    def code_of(self, rule: str, plugin: tuple[str, str] | None = None) -> Parameter:
        """Digest what a rule and the plug-in of its entry may run; an edit of that shows, a comment does not."""

        def code(wildcards: Wildcards) -> str:
            dotted = plugin and registry.plugin_module(self.config, plugin[0], fill(plugin[1], wildcards))
            return symbols.code_text(rule, dotted)

        return code

    def pictures_scored(self, wildcards: Wildcards) -> str:
        """Say whose pictures a model's scores read features of: where pictures are retrieved, the gallery is of all."""
        entry = catalogue.settings(self.config, self.schemas, "models", wildcards.model)
        return "all" if entry["direction"] == Direction.DECODE else "own"

    def pictures_of_dataset(self, wildcards: Wildcards) -> str:
        """Hand where the user's pictures are and how they look from outside (names, sizes, times)."""
        root = catalogue.places(self.config, "datasets", wildcards.dataset).get("stimuli_root")
        return canonical({"stimuli_root": root, **look(_folder(root))} if root else {})

    def folder_of_recording(self, wildcards: Wildcards) -> str:
        """Hand how the user's own folder of a recording looks from outside; nothing for most."""
        if not catalogue.outside(self.config, wildcards.dataset, wildcards.recording):
            return ""
        root = catalogue.places(self.config, "datasets", wildcards.dataset).get("betas_root", "")
        return canonical({"betas_root": root, **look(_folder(root))})

    def region_files_of_response(self, wildcards: Wildcards) -> str:
        """Hand the files that give a subject's regions and how they look from outside."""
        regions = catalogue.region_files(self.config["responses"][wildcards.response], wildcards.subject)
        looks = {name: [row | look(_folder(row["path"])) for row in rows] for name, rows in regions.items()}
        return canonical(looks)

    def meshes_of_response(self, wildcards: Wildcards) -> str:
        """Hand how the user's own meshes look from outside; nothing where a response needs none."""
        folder = (self.config["responses"][wildcards.response] or {}).get("mesh_folder")
        if folder is None:
            return ""
        return canonical(
            look(_folder(folder), *(f"fsaverage*/surf/?h.{kind}" for kind in ("pial", "white", "sphere*")))
        )

    def files_reached(self, rule: str) -> Parameter:
        """Hand how the files that a fetch reaches look in a data set that is a folder of the user's own; else nothing.

        The patterns are those of the plug-in's literal ``LOOKS``.
        """

        def files(wildcards: Wildcards) -> str:
            folder = (self.config["datasets"][wildcards.dataset] or {}).get("folder", ".")
            subject = getattr(wildcards, "subject", "")
            patterns = catalogue.patterns_reached(self.config, self.schemas, wildcards.dataset, rule, subject)
            if not patterns:
                return ""
            key = (folder, *patterns)
            if key not in self._looks:  # subjects may share their files
                self._looks[key] = canonical(look(_folder(folder), *patterns))
            return self._looks[key]

        return files

    def subjects_of_result(self, wildcards: Wildcards) -> str:
        """Hand the subjects that a result reads."""
        return canonical(catalogue.subjects_of(self.config, wildcards.dataset, wildcards.subject))

    def recording_of(self, pattern: str) -> Parameter:
        """Name the recording that a response reads."""

        def recording(wildcards: Wildcards) -> str:
            return catalogue.recording(self.config, wildcards.dataset, fill(pattern, wildcards))

        return recording

    def response_of_split(self, wildcards: Wildcards) -> str:
        """Hand the response whose windows must not overlap from training to test; nothing for most."""
        name = (self.config["splits"][wildcards.split] or {}).get("windows_of")
        return self.settings_of("responses", name, "make_split")(wildcards) if name else ""

    def facts_of_split(self, wildcards: Wildcards) -> str:
        """Hand the facts of the data set that a split reads: the repetition time only where windows are kept apart."""
        facts = catalogue.facts_read(self.config, "datasets", wildcards.dataset, "make_split")
        if not (self.config["splits"][wildcards.split] or {}).get("windows_of"):
            facts.pop("tr_s", None)
        return canonical(facts)

    def names_of_rivals(self, wildcards: Wildcards) -> str:
        """Hand the names of the encoders that are compared."""
        return canonical({"results": [vars(result) for result in self.studies.rivals(wildcards.study)]})

    def names_of_matched(self, wildcards: Wildcards) -> str:
        """Hand the names of the results whose units are matched."""
        return canonical({"results": [vars(result) for result in self.studies.matched(wildcards.study)]})

    def settings_of_latents(self, wildcards: Wildcards) -> str:
        """Hand what a study asks of codes."""
        return canonical(self.studies.asked_of_codes(wildcards.study))

    def primary_of_study(self, wildcards: Wildcards) -> str:
        """Hand the study's name, primary metric and reference: another title or figure changes no score."""
        study = self.studies.of_name(wildcards.study)
        return canonical({key: study[key] for key in ("name", "primary", "reference") if key in study})

    def config_of_study(self, wildcards: Wildcards) -> str:
        """Hand the study."""
        return canonical(self.studies.of_name(wildcards.study))

    def facts_of_study(self, rule: str) -> Parameter:
        """Hand the facts of a study's data sets that a rule reads."""

        def facts(wildcards: Wildcards) -> str:
            names = sorted({result.dataset for result in self.studies.results(wildcards.study)})
            return canonical({name: catalogue.facts_read(self.config, "datasets", name, rule) for name in names})

        return facts

    def captions_of_study(self, wildcards: Wildcards) -> str:
        """Hand titles and captions of a study's figures."""
        names = self.studies.of_name(wildcards.study)["figures"]
        return canonical({name: catalogue.facts_read(self.config, "figures", name, "write_report") for name in names})


def fill(pattern: str, wildcards: Wildcards) -> str:
    """Put wildcards into a pattern such as '{model}'."""
    return pattern.format(**dict(wildcards.items()))


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def wildcard_names(wildcards: Wildcards) -> str:
    """Hand the wildcards."""
    return canonical(dict(wildcards.items()))
