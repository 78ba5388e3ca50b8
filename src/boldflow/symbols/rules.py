"""The code of a rule: its roots, its digests by module, and a side file with those of single definitions."""

import contextlib
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path

from boldflow.provenance import canonical, digest
from boldflow.symbols import remembered
from boldflow.symbols.package import ADAPTER, KEPT, Package
from boldflow.symbols.reach import WHOLE, Reach

ROOTS = "boldflow.(roots)"  # a row of the map that holds no digest: the rule and its plug-in, in words
SIDE_FILES = Path(".snakemake") / "boldflow-code"


@functools.cache
def _reach() -> Reach:
    return Reach(Package(kept=KEPT))


@functools.cache
def code_text(rule: str, plugin: str | None = None) -> str:
    """Write ``code_map`` as canonical text, once for all jobs that run the same, and keep the definitions beside it."""
    name = f"code: {rule} {plugin}"
    text = remembered.recall(name)
    if text is not None and _side_file(json.loads(text)).exists():
        return text
    code = code_map(rule, plugin)
    _keep(code, definitions_of(rule, plugin))
    remembered.keep(name, canonical(code))
    return canonical(code)


def code_map(rule: str, plugin: str | None = None) -> dict[str, str]:
    """Digest what a rule may run, by module: of each module the definitions that are reached.

    Parameters
    ----------
    rule : name of a rule; its adapter and its stage bear it
    plugin : dotted module of the plug-in of the rule's entry, if there is one

    Returns
    -------
    dict
        Module to digest; ``ROOTS`` to the rule and its plug-in, from which the map can be made again.

    Raises
    ------
    ModuleNotFoundError
        If there is no stage of that name.
    """
    words = [rule, *([plugin] if plugin else [])]
    return {**by_module(definitions_of(rule, plugin)), ROOTS: " ".join(words)}


@functools.cache
def definitions_of(rule: str, plugin: str | None = None) -> dict[str, str]:
    """Digest what a rule may run, by ``module:name``; see ``code_map``."""
    return definitions_in(_reach(), rule, plugin)


def definitions_in(reach: Reach, rule: str, plugin: str | None = None) -> dict[str, str]:
    """Digest what a rule may run in some copy of the package."""
    return reach.definitions(*roots_of(reach.package, rule, plugin))


def roots_of(package: Package, rule: str, plugin: str | None = None) -> list[str]:
    """Name the roots of a rule: its adapter, the ``run`` of the stage that bears its name, and all of a plug-in."""
    roots = [f"{ADAPTER}{rule}:{WHOLE}"] if package.path(f"{ADAPTER}{rule}") else []
    stages = [path.relative_to(package.root).with_suffix("") for path in package.root.glob(f"stages/**/{rule}.py")]
    roots += [f"boldflow.{'.'.join(path.parts)}:run" for path in sorted(stages)]
    if not roots:
        raise ModuleNotFoundError(f"no stage of {package.root} bears the name of rule {rule}")
    return [*roots, *([f"{plugin}:{WHOLE}"] if plugin else [])]


def by_module(definitions: Mapping[str, str]) -> dict[str, str]:
    """Join the digests of definitions to one of each module."""
    modules: dict[str, dict[str, str]] = {}
    for key, code in definitions.items():
        module, _, name = key.partition(":")
        modules.setdefault(module if module.startswith("boldflow") else f"boldflow.{module}", {})[name] = code
    return {module: digest(canonical(codes)) for module, codes in sorted(modules.items())}


def code_digest(*roots: str) -> str:
    """Digest what may run from roots such as ``boldflow.core.responses.projection:*``, for names of kept files."""
    return digest(canonical(_reach().definitions(*roots)))


def recorded(code: Mapping[str, str]) -> dict[str, str] | None:
    """Find the single definitions of a map of modules that was recorded; None where the side file is gone."""
    with contextlib.suppress(OSError, ValueError):
        definitions = json.loads(_side_file(code).read_text(encoding="utf-8"))
        return definitions if isinstance(definitions, dict) else None
    return None


def _side_file(code: Mapping[str, str]) -> Path:
    return SIDE_FILES / f"{digest(canonical(dict(code)))}.json"


def _keep(code: Mapping[str, str], definitions: Mapping[str, str]) -> None:
    """Write the definitions of a map of modules where they are not kept yet; it does no harm if that is not allowed."""
    path = _side_file(code)
    if path.exists() or not SIDE_FILES.parent.is_dir():
        return
    part_path = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        part_path.write_text(canonical(dict(definitions)), encoding="utf-8")
        part_path.replace(path)
