"""Training of one model on one subject: all seeds and folds in one job."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow import registry
from boldflow.artifacts import arrays, sidecars, tables
from boldflow.artifacts import weights as weight_files
from boldflow.core.compute import fixed_threads
from boldflow.core.scaling import scale, unscale
from boldflow.provenance import canonical, digest
from boldflow.stages import _interruption
from boldflow.stages._arrival import plugin_of, read_settings
from boldflow.stages._checkpoints import Checkpoints
from boldflow.stages._inputs import inputs_and_targets, training_data
from boldflow.stages._trials import align


def run(
    responses: str,
    responses_sidecar: str,
    features: str,
    index: str,
    features_sidecar: str,
    trials: str,
    split: str,
    weights: str,
    predictions: str,
    history: str,
    sidecar: str,
    subject: str,
    settings: str,
    code: str,
    device: str,
) -> None:
    """Fit on the training and validation trials of each fold, predict its test trials.

    Parameters
    ----------
    responses, responses_sidecar, features, index, features_sidecar, trials, split : paths to read
    weights : path of the safetensors to write: ``fold{f}/seed{s}/...`` states, ``fold{f}/inputs/...`` and
        ``fold{f}/targets/...`` scalers
    predictions : path of the .npy to write, (n_seeds, n_test_trials over folds, n_targets) float32, in the targets'
        own units, test trials in the order of fold, then acquisition
    history, sidecar : paths of the CSV and the JSON to write
    subject : the subject
    settings : the model's catalogue entry, JSON text
    code : digests of the modules of this stage and the model's plug-in, JSON text
    device : "cpu" or "cuda", as the job asked
    """
    entry = read_settings(settings)
    plugin = plugin_of("models", entry)
    facts = registry.literal("models", entry["plugin"], "FACTS")
    data = align(responses, features, index, trials, split, subject)
    states: dict[str, np.ndarray] = {}
    predicted: list[np.ndarray] = []
    rows: list[dict[str, object]] = []
    sources = [sidecars.read(responses_sidecar), sidecars.read(features_sidecar), tables.sidecar(split)]
    sources += sources[1].get("members", {}).values()  # of a feature that joins others: how each was made
    ticket = _ticket([entry, code, device, subject, sources], responses, features, trials, split)
    place = Checkpoints(Path(weights).parent / ".checkpoints", ticket)
    # a closed-form fit has no steps to go on from: it ends at once
    stopping = contextlib.nullcontext() if facts["closed_form"] else _interruption.deferred()
    with stopping, fixed_threads(facts["threads"]):
        for fold in tqdm(range(data.n_folds), desc=f"train {entry['name']}", unit="fold"):
            readers = inputs_and_targets(data, entry["direction"])
            training, *scalers = training_data(data, fold, readers, entry)
            found = plugin.fit([training], entry, entry["seeds"], device, place.part(f"fold{fold}"))
            inputs = scale(readers[0](data.rows(fold, "test")), scalers[0])
            predicted.append(np.stack([unscale(plugin.predict(s, inputs), scalers[1]) for s in found.states]))
            for name, scaler in zip(("inputs", "targets"), scalers, strict=True):
                states |= {f"fold{fold}/{name}/{key}": value for key, value in scaler.items()}
            for seed, state in zip(entry["seeds"], found.states, strict=True):
                states |= {f"fold{fold}/seed{seed}/{key}": value for key, value in state.items()}
            rows += [{"fold": fold, **line} for line in found.history]
    arrays.write(predictions, np.concatenate(predicted, axis=1).astype(np.float32))
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
            "configs": [note.get("settings", note.get("rule")) for note in sources] + [sources[0]["dataset"]],
            "feature_kind": sources[1]["kind"],
            "transductive": sources[0]["transductive"],
            "space": sources[0]["space"],
        },
    )
    place.remove()


def _ticket(notes: list[Any], *paths: str) -> str:
    """Digest what the fitted states depend on: a checkpoint of anything else is of no use."""
    files = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    return digest(canonical([notes, files, sidecars.versions("numpy", "scipy", "torch")]))
