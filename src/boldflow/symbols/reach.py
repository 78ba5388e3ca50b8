"""What may run from some roots: every definition that a name leads to, and what importing the modules does.

The claim: each piece of the package that a job executes is among them. (1) Importing a module runs its statements:
those that may do more than bind a name to a value count, for every module that is imported, transitively. (2) A
function runs only if something that runs names it: names are followed in the module, through imports, re-exports and
attributes of modules; a class is taken whole, and so is a module that is a value. What cannot be followed makes all
that is loaded count.
"""

from boldflow.provenance import canonical, digest
from boldflow.symbols.acting import Demand, is_of_package
from boldflow.symbols.modules import IMPORT, Definition
from boldflow.symbols.package import Package

WHOLE = "*"  # stands for all that a module defines
# These were looked at: a plug-in, which is a root of the rule (`registry.confine` sees to it); torch, by its name.
CLEAR = frozenset(("boldflow.registry:load", "boldflow.core.compute:fixed_threads"))
# Computes digests and nothing else: an edit shows in the digests themselves.
SILENT = "boldflow.symbols"


class Reach:
    """Follows names from roots through a package."""

    def __init__(self, package: Package) -> None:
        """Follow nothing yet."""
        self.package = package
        self._places: dict[str, list[tuple[str, str, int]]] = {}
        self._quiet: dict[Demand, bool] = {}
        self._acts: dict[str, bool] = {}

    def definitions(self, *roots: str) -> dict[str, str]:
        """Digest what may run from roots, by ``module:name``, sorted.

        Parameters
        ----------
        *roots : str
            Such as ``boldflow.stages.models.train_model:run``, or ``boldflow.models.ridge:*`` for a whole module.

        Raises
        ------
        ModuleNotFoundError
            If a root's module is not there.
        """
        return self.reached(*roots)[0]

    def reached(self, *roots: str) -> tuple[dict[str, str], set[str]]:
        """Digest what may run from roots, and name the modules that are loaded; see ``definitions``."""
        walk = _Walk(self)
        for root in roots:
            module, _, name = root.partition(":")
            walk.load(module)
            walk.visit(module, name)
        walk.finish()
        self.package.keep()
        return dict(sorted(walk.codes.items())), walk.loaded

    def places(self, full: str) -> list[tuple[str, str, int]]:
        """Say where a dotted name leads: module, name in it (``*``: the module itself), number of attributes left."""
        if full not in self._places:
            self._places[full] = list(self._places_of(full.split(".")))
        return self._places[full]

    def acts(self, module: str) -> bool:
        """Tell whether importing a module may do more than bind names to values."""
        if module not in self._acts:
            parts = self.package.module(module)
            self._acts[module] = parts.acts or not all(map(self._holds, parts.demands))
        return self._acts[module]

    def _places_of(self, parts: list[str]) -> list[tuple[str, str, int]]:
        n = next((n for n in range(len(parts), 0, -1) if self.package.path(".".join(parts[:n]))), 0)
        if n == 0:
            return []
        module, parent = ".".join(parts[:n]), ".".join(parts[: n - 1])
        places = [(module, self._name_in(module, parts[n]) if n < len(parts) else WHOLE, max(len(parts) - n - 1, 0))]
        # a package may give a module's name to something else
        if n > 1 and self._binds_other(parent, parts[n - 1], module):
            places.append((parent, parts[n - 1], len(parts) - n))
        return places

    def _name_in(self, module: str, name: str) -> str:
        parts = self.package.module(module)
        return name if name in parts.definitions or name in parts.aliases else WHOLE

    def _binds_other(self, package: str, name: str, module: str) -> bool:
        if self.package.path(package) is None:  # a folder without __init__.py
            return False
        parts = self.package.module(package)
        return name in parts.definitions or any(full != module for full in parts.aliases.get(name, []))

    def _holds(self, demand: Demand) -> bool:
        """Tell whether a demand holds: no code of the package runs where a name is used in some way at import."""
        if demand not in self._quiet:
            self._quiet[demand] = True  # a circle ends here
            places = self.places(demand.full)
            self._quiet[demand] = bool(places) and all(self._holds_at(demand.how, *place) for place in places)
        return self._quiet[demand]

    def _holds_at(self, way: str, module: str, name: str, n_left: int) -> bool:
        if name == WHOLE:
            return way in ("read", "operate")
        record = self.package.module(module)
        fulls = record.aliases.get(name, [])
        demands = [Demand(way, full) for full in fulls if is_of_package(full)]
        return (not fulls or len(demands) == len(fulls) or way != "call") and all(
            [*map(self._holds, demands), *self._of_definition(way, record.definitions.get(name), n_left)]
        )

    def _of_definition(self, how: str, definition: Definition | None, n_left: int) -> list[bool]:
        if definition is None or (how == "read" and n_left == 0):
            return []
        is_class = "base" in definition.traits or "call" in definition.traits
        way = how if n_left == 0 or (how == "read" and is_class and n_left == 1) else "inside"
        return [way in definition.traits, *map(self._holds, definition.traits.get(way, []))]


class _Walk:
    """One walk from roots: what was reached, what is loaded, what waits."""

    def __init__(self, reach: Reach) -> None:
        self.reach, self.package = reach, reach.package
        self.codes: dict[str, str] = {}
        self.loaded: set[str] = set()
        self._waiting: list[tuple[str, str]] = []
        self._seen: set[tuple[str, str]] = set()
        self._annotated: set[str] = set()
        self._flags: set[str] = set()

    def load(self, *modules: str) -> None:
        """Import modules, and all that they import."""
        waiting_modules = list(modules)
        while waiting_modules:
            name = waiting_modules.pop()
            if name not in self.loaded and self._counts(name):
                self.loaded.add(name)
                waiting_modules += self._modules_of(self.package.module(name).loads)
                if self.reach.acts(name):
                    self._waiting.append((name, IMPORT))

    def visit(self, module: str, name: str) -> None:
        """Reach a name, and all that it leads to."""
        self._waiting.append((module, name))
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting:
            place = self._waiting.pop()
            if place not in self._seen and self._counts(place[0]):
                self._seen.add(place)
                self._reach(*place)

    def finish(self) -> None:
        """Count what no name tells: annotations that are read, all that is loaded if anything is unclear, libraries."""
        n_seen = -1
        while n_seen != len(self._seen):
            n_seen = len(self._seen)
            for full in sorted(self._annotated) if "annotations" in self._flags else ():
                self._follow(full)
            self._go_on()
            for module in sorted(self.loaded) if "unclear" in self._flags else ():
                self.visit(module, WHOLE)
        for module in sorted({key.partition(":")[0] for key in self.codes}):
            self.codes |= {f"{module}:({name})": code for name, code in self.package.texts_beside(module).items()}
        records = {module: self.package.module(module) for module in sorted(self.loaded)}
        if "sources" in self._flags:
            self.codes |= {f"{module}:(source)": record.source for module, record in records.items()}
        libraries = {library for record in records.values() for library in record.libraries}
        self.codes["(libraries):(import)"] = digest(canonical(sorted(libraries)))

    def _reach(self, module: str, name: str) -> None:
        record = self.package.module(module)
        self.load(module)
        if name == WHOLE:
            part_aliases = [
                alias for alias, fulls in record.aliases.items() if any(self._is_part(module, full) for full in fulls)
            ]
            self._waiting += [(module, symbol) for symbol in (*record.definitions, *part_aliases) if symbol != IMPORT]
        if name in record.aliases:  # another module imports it from here
            self.codes[f"{module}:{name}"] = digest(canonical(record.aliases[name]))
            for full in filter(is_of_package, record.aliases[name]):
                self._follow(full)
        if name in record.definitions:
            definition = record.definitions[name]
            self.codes[f"{module}:{name}"] = definition.code + self.codes.get(f"{module}:{name}", "")
            self._annotated |= set(definition.annotated)
            self._flags |= set() if f"{module}:{name}" in CLEAR else set(definition.flags)
            self.load(*self._modules_of(definition.loads))
            for full in definition.uses:
                self._follow(full)

    def _is_part(self, module: str, full: str) -> bool:
        """Tell whether what a module imports is a definition, or a module below it: not another module as a whole."""
        is_module = all(name == WHOLE for _, name, _ in self.reach.places(full))
        return is_of_package(full) and (not is_module or full.startswith(f"{module}.") or full.endswith(".*"))

    def _follow(self, full: str) -> None:
        self._waiting += [(module, name) for module, name, _ in self.reach.places(full)]

    def _modules_of(self, fulls: list[str]) -> list[str]:
        return [module for full in fulls for module, _, _ in self.reach.places(full)]

    def _counts(self, module: str) -> bool:
        return module != SILENT and not module.startswith(f"{SILENT}.")
