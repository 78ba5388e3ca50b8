"""The feature cache: each picture described once."""

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow import registry
from boldflow.artifacts import arrays, sidecars, stimuli, tables
from boldflow.core.compute import fixed_threads
from boldflow.stages._arrival import plugin_of, read_settings

BATCH = 32  # pictures in memory at once; the result does not depend on it


def run(pack: str, table: str, features: str, index: str, sidecar: str, settings: str, code: str, device: str) -> None:
    """Write (n_images, n_features), the image_id of each row, and the sidecar.

    Parameters
    ----------
    pack, table : paths of the stimulus pack and its table
    features, index, sidecar : paths of the .npy, the Parquet and the JSON to write
    settings : the feature's catalogue entry, JSON text
    code : digests of the modules of this stage and the feature's plug-in, JSON text
    device : "cpu" or "cuda", as the job asked

    Raises
    ------
    ValueError
        If the pictures are missing or the plug-in gives another number of rows.
    """
    entry = read_settings(settings)
    plugin = plugin_of("features", entry)
    facts = registry.literal("features", entry["plugin"], "FACTS")
    rows = tables.read(table)
    with fixed_threads(facts["threads"]):
        if facts["reads"] == "labels":
            values = plugin.extract(rows, entry)
        else:
            without = rows.loc[rows["height"] == 0, "image_id"]
            if len(without):
                first = without.iloc[0]
                raise ValueError(f"feature {entry['name']} reads pictures; {len(without)} have none, first {first!r}")
            values = _extract(plugin, pack, rows, entry)
    if len(values) != len(rows) or values.ndim != 2:
        raise ValueError(f"feature {entry['name']} gave shape {values.shape} for {len(rows)} pictures")
    arrays.write(features, np.ascontiguousarray(values, dtype=np.float32))
    note = {
        "kind": facts["kind"],
        "shape": list(values.shape),
        "settings": entry,
        "device": device,
        "code": code,
        "data": tables.sidecar(table)["data"],
        "versions": sidecars.versions("numpy", "scipy"),
    }
    tables.write(index, rows[["image_id"]], note)
    sidecars.write(sidecar, note)


def _extract(plugin: ModuleType, pack: str, rows: pd.DataFrame, entry: dict[str, Any]) -> np.ndarray:
    values = np.empty((0, 0), dtype=np.float32)
    with stimuli.Pack(pack, rows) as pictures, tqdm(total=len(rows), desc=entry["name"], unit="image") as bar:
        for places, images in pictures.batches(BATCH):
            found = plugin.extract(images, entry)
            if not values.size:
                values = np.empty((len(rows), found.shape[1]), dtype=np.float32)
            values[places] = found
            bar.update(len(places))
    return values
