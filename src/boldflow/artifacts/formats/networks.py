"""Networks trained elsewhere, in folders of this machine: looked into before they are opened, opened without the hub.

Only safetensors are read, and pickles whose SHA-256 is known beforehand (as tensors alone). Code that comes with a
checkpoint is never run: a folder whose settings ask for it is refused.
"""

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from boldflow.artifacts.store import sidecars

LOG = logging.getLogger(__name__)
# What a network of transformers needs, and no more: no code, no pickles.
FILES = (
    *("config.json", "preprocessor_config.json"),
    *("model.safetensors", "model-*.safetensors", "model.safetensors.index.json"),
)
CODE_KEYS = ("auto_map", "custom_pipelines", "trust_remote_code")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".msgpack", ".h5")
# Set before transformers is imported: an open folder asks nobody anything.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def chosen(folder: str | Path, patterns: Iterable[str]) -> list[str]:
    """List the files of a folder that a network needs, sorted, relative to it; what else lies there is left alone.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    patterns = list(patterns)
    return sorted(path.name for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in patterns))


def refuse_code(folder: str | Path, paths: Iterable[str], checksums: Mapping[str, str] | None = None) -> None:
    """Look into a checkpoint's files without running or unpickling any.

    Parameters
    ----------
    folder : str or Path
    paths : iterable of str
        Files below it that would be used.
    checksums : mapping of str to str, optional
        SHA-256 by file: a pickle is let pass only where it is listed here (the caller compares the checksum).

    Raises
    ------
    ValueError
        If there are no safetensors but pickles, a pickle is not listed, the settings name code, or a file is not whole;
        names the file.
    """
    folder, paths = Path(folder), list(paths)
    for path in paths:
        if path.endswith(PICKLES) and path not in (checksums or {}):
            raise ValueError(f"{folder / path} may hold pickled code, and its SHA-256 is not listed: it is not opened")
        if path.endswith(".json"):
            _refuse_settings(folder / path)
        if path.endswith(".safetensors"):
            _look_into_safetensors(folder / path)
    if any(path.endswith((".safetensors", *PICKLES)) for path in paths):
        return
    pickles = sorted(file.name for file in folder.iterdir() if file.name.endswith(PICKLES))
    raise ValueError(
        f"{folder} has no weights as safetensors"
        + (
            f"; {', '.join(pickles[:5])} may hold pickled code and is not opened: convert it elsewhere"
            if pickles
            else ""
        )
    )


def pretrained(folder: str | Path, kind: str = "AutoModel", pooler: bool = False) -> Any:
    """Open a network of transformers from a folder, all weights in float32.

    Parameters
    ----------
    folder : str or Path
    kind : str
        Name of a class of transformers.
    pooler : bool
        Whether the head that pools is used. Hidden states do without it, and not every checkpoint has its weights.

    Raises
    ------
    ValueError
        If the folder asks for code, or weights that are used are missing or of another shape: none is ever made up.
    """
    folder = Path(folder)
    refuse_code(folder, chosen(folder, FILES))
    transformers = _transformers()
    network, report = getattr(transformers, kind).from_pretrained(
        str(folder),
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype="float32",
        output_loading_info=True,
    )
    missing_weights = sorted(name for name in report["missing_keys"] if pooler or "pooler" not in name)
    mismatched_weights = sorted(map(str, report["mismatched_keys"]))
    if missing_weights or mismatched_weights:
        raise ValueError(
            f"{folder} lacks {len(missing_weights)} weights of a {type(network).__name__} "
            f"({', '.join(missing_weights[:3])}) and has {len(mismatched_weights)} of another shape "
            f"({', '.join(mismatched_weights[:3])}): it is a checkpoint of another network"
        )
    return network


def untrained(model_type: str, sizes: Mapping[str, Any], seed: int, kind: str = "AutoModel") -> Any:
    """Make a network of transformers whose weights are random: a control.

    Parameters
    ----------
    model_type : str
        As transformers calls it, such as "dinov2".
    sizes : mapping
        What differs from the default configuration of that type.
    seed : int
    kind : str
        Name of a class of transformers.
    """
    import torch

    transformers = _transformers()
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    network_class = getattr(transformers, kind)
    make = getattr(network_class, "from_config", None) or network_class._from_config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(config)


def processor_file(folder: str | Path) -> dict[str, Any]:
    """Read a checkpoint's ``preprocessor_config.json``; empty where there is none."""
    path = Path(folder) / "preprocessor_config.json"
    return sidecars.read(path) if path.is_file() else {}


def processor(folder: str | Path) -> Any:
    """Open a checkpoint's own processor of pictures, as transformers has it."""
    folder = Path(folder)
    refuse_code(folder, chosen(folder, FILES))
    return _transformers().AutoImageProcessor.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False
    )


def tensors(path: str | Path, sha256: str) -> dict[str, Any]:
    """Read a published pickle of tensors whose SHA-256 is known; nothing else in it is made.

    Raises
    ------
    ValueError
        If it is another file: shows both checksums.
    """
    import torch

    path = Path(path)
    with path.open("rb") as handle:
        checksum = hashlib.file_digest(handle, "sha256").hexdigest()
    if checksum != sha256:
        raise ValueError(f"{path} is not the published file: expected sha256:{sha256}, found sha256:{checksum}")
    tensor_of_name: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return tensor_of_name


def _transformers() -> Any:
    os.environ.update(OFFLINE)
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # what its report says of weights is looked at here
    return transformers


def _refuse_settings(path: Path) -> None:
    """Refuse settings that name code, at any depth."""
    unread_settings: list[Any] = [sidecars.read(path)]
    while unread_settings:
        settings = unread_settings.pop()
        if isinstance(settings, dict):
            code_keys = [key for key in CODE_KEYS if settings.get(key)]
            if code_keys:
                value = json.dumps(settings[code_keys[0]])
                raise ValueError(
                    f"{path} asks for code of its own ({code_keys[0]}: {value}): it is never run; use another"
                )
            unread_settings += settings.values()
        elif isinstance(settings, list):
            unread_settings += settings


def _look_into_safetensors(path: Path) -> None:
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        raise ValueError(f"{path} ({size} bytes) is an archive, as pickled weights are, and no safetensors")
    try:
        with safe_open(path, "numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} ({size} bytes) is not whole safetensors: {error}") from None
