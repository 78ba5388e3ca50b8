"""Where the tables of a study are that its figures and the sections of its report need."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from boldflow import catalogue, registry
from boldflow.registry import Config
from boldflow.vocabulary.results import NONE, ResultKey
from boldflow.vocabulary.tables import TABLES, Trait


@dataclass(frozen=True)
class StudyTables:
    """The tables of a study.

    Attributes
    ----------
    config, schemas : the catalogue and the JSON schemas
    study : the study's file, with its ``name`` and ``figures``
    results : its results, in order
    """

    config: Config
    schemas: Config
    study: Config
    results: Sequence[ResultKey]

    @cached_property
    def traits(self) -> dict[ResultKey, frozenset[Trait]]:
        """What each result is, on which tables hang."""
        return catalogue.traits(self.config, self.schemas, self.study, self.results)

    def paths(self, name: str) -> list[str]:
        """List the files of a table, each once: pattern by pattern, in the study's order.

        What comes before models is each subject's own, where subjects are pooled too.
        """
        table = TABLES[name]
        matching_results = [result for result in self.results if table.of in self.traits[result]]
        paths: dict[str, None] = {}
        for pattern in table.paths:
            results = matching_results if "{model}" in pattern else catalogue.by_subject(self.config, matching_results)
            if "{response}" in pattern and "{model}" not in pattern:
                results = [result for result in results if result.response != NONE]
            figures = self.study["figures"] if "{figure}" in pattern else [""]
            for result, figure in itertools.product(results, figures):
                paths[pattern.format(study=self.study["name"], figure=figure, **vars(result))] = None
        return list(paths)

    def of_figure(self, figure: str) -> dict[str, list[str]]:
        """Give the files of each table that a figure's plug-in needs, by its name."""
        plugin = registry.plugin_name(figure, self.config["figures"][figure])
        return {name: self.paths(name) for name in registry.literal("figures", plugin, "NEEDS")}

    def of_report(self) -> dict[str, list[str]]:
        """Give the files of each table that any section of the report needs, by its name."""
        sections = registry.plugins("report")
        needs = (registry.literal("report", section, "NEEDS") for section in sections)
        return {name: self.paths(name) for name in sorted(set(itertools.chain.from_iterable(needs)))}
