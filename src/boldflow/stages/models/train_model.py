"""Training of one model on one subject, or on all together: all seeds and folds in one job."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow import registry
from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.artifacts.store import weights as weight_files
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.scaling import scale, unscale
from boldflow.provenance import canonical, digest
from boldflow.registry import plugin_of
from boldflow.settings import read_settings
from boldflow.stages import _interruption
from boldflow.stages._aligned import align_all
from boldflow.stages.models._inputs import inputs_and_targets, pooled_data
from boldflow.stages.models._progress import ProgressFolder
from boldflow.vocabulary.results import NONE


def run(
    responses: list[str],
    responses_sidecar: list[str],
    features: str | list[str],
    index: str | list[str],
    features_sidecar: str | list[str],
    trials: list[str],
    split: str,
    weights: str,
    predictions: str,
    history: str,
    sidecar: str,
    subjects: str,
    settings: str,
    code: str,
    device: str,
) -> None:
    """Fit on the training and validation trials of each fold, predict its test trials.

    Parameters
    ----------
    responses, responses_sidecar, trials : paths to read, one of each per subject; several subjects are pooled. Without
        responses the model sees features alone, a picture a trial
    features, index, features_sidecar, split : paths to read; nothing for the first three where the model sees only
        responses
    weights : path of the safetensors to write: ``fold{f}/seed{s}/...`` states, ``fold{f}/inputs/...`` and
        ``fold{f}/targets/...`` scalers; of pooled subjects ``fold{f}/inputs/{subject}/...``
    predictions : path of the .npy to write, (n_seeds, n_test_trials over folds, n_targets) float32, in the targets'
        own units, test trials in the order of subject, fold, acquisition
    history, sidecar : paths of the CSV and the JSON to write
    subjects : names of the subjects in that order, JSON text
    settings : the model's catalogue entry, JSON text
    code : digests of the modules of this stage and the model's plug-in, JSON text
    device : "cpu" or "cuda", as the job asked
    """
    entry = read_settings(settings)
    plugin = plugin_of("models", entry)
    facts = registry.literal("models", entry["plugin"], "FACTS")
    names: list[str] = json.loads(subjects)
    everyone = align_all(responses, features, index, trials, split, names)
    names = names if responses else [NONE]
    states: dict[str, np.ndarray] = {}
    predicted: list[list[np.ndarray]] = [[] for _ in names]
    rows: list[dict[str, object]] = []
    measured = [sidecars.read(path) for path in responses_sidecar]
    described: dict[str, Any] = sidecars.read(str(features_sidecar)) if features_sidecar else {"kind": NONE}
    sources = [*measured, *([described] if features_sidecar else []), tables.sidecar(split)]
    sources += described.get("members", {}).values()  # of a feature that joins others: how each was made
    paths = [*responses, *([str(features)] if features else []), *trials, split]
    ticket = _ticket([entry, code, device, names, sources], *paths)
    place = ProgressFolder(Path(weights).parent / ".checkpoints", ticket)
    # a closed-form fit has no steps to go on from: it ends at once
    stopping = contextlib.nullcontext() if facts["closed_form"] else _interruption.deferred()
    with stopping, fixed_threads(facts["threads"]):
        for fold in tqdm(range(everyone[0].n_folds), desc=f"train {entry['name']}", unit="fold"):
            training, of_inputs, of_targets = pooled_data(everyone, fold, entry)
            found = plugin.fit(training, entry, entry["seeds"], device, place.part(f"fold{fold}"))
            states |= {f"fold{fold}/targets/{key}": value for key, value in of_targets.items()}
            for number, (name, data, scaler) in enumerate(zip(names, everyone, of_inputs, strict=True)):
                read = inputs_and_targets(data, entry["direction"])[0]
                inputs = scale(read(data.rows(fold, "test")), scaler)
                own = [plugin.of_subject(s, number) for s in found.states] if len(names) > 1 else found.states
                predicted[number].append(np.stack([unscale(plugin.predict(s, inputs), of_targets) for s in own]))
                where = f"fold{fold}/inputs/{name}" if len(names) > 1 else f"fold{fold}/inputs"
                states |= {f"{where}/{key}": value for key, value in scaler.items()}
            for seed, state in zip(entry["seeds"], found.states, strict=True):
                states |= {f"fold{fold}/seed{seed}/{key}": value for key, value in state.items()}
            rows += [{"fold": fold, **line} for line in found.history]
    together = np.concatenate([part for own in predicted for part in own], axis=1)
    arrays.write(predictions, together.astype(np.float32))
    tables.write_csv(history, pd.DataFrame(rows, columns=list(rows[0]) if rows else ["fold"]))
    weight_files.write(weights, states)
    sidecars.write(
        sidecar,
        {
            "settings": entry,
            "units": "predictions are in the units of the targets",
            "device": device,
            "code": code,
            "versions": sidecars.versions("numpy", "scipy", "scikit-learn"),
            "sources": [{key: note[key] for key in ("code", "data")} for note in sources],
            "configs": [note.get("settings", note.get("rule")) for note in sources]
            + [note["dataset"] for note in measured[:1]],
            "feature_kind": described["kind"],
            "transductive": measured[0]["transductive"] if measured else None,
            "space": measured[0]["space"] if measured else NONE,
        },
    )
    place.remove()


def _ticket(notes: list[Any], *paths: str) -> str:
    """Digest what the fitted states depend on: progress towards anything else is of no use."""
    files = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    return digest(canonical([notes, files, sidecars.versions("numpy", "scipy", "torch")]))
