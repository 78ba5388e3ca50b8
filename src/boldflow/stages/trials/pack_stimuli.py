"""The stimulus pack: each picture once, with hashes and labels."""

import pandas as pd
from tqdm import tqdm

from boldflow.artifacts.store import receipts, stimuli, tables
from boldflow.core.pictures.duplicates import perceptual_hash
from boldflow.core.records.stimuli import composed
from boldflow.registry import plugin_of
from boldflow.settings import read_entry
from boldflow.stages.fetch._arrival import open_dataset


def run(source: str, receipt: str, pack: str, table: str, settings: str, code: str) -> None:
    """Read the pictures of a data set and pack them.

    Parameters
    ----------
    source, receipt : paths of the receipts of the data set and its stimuli
    pack, table : paths of the HDF5 and the Parquet to write
    settings : the data set's catalogue entry, JSON text
    code : digests of the modules of this stage and its plug-in, JSON text
    """
    entry = read_entry(settings)
    root = open_dataset(receipt, source)  # the folder of the pictures, which may be the user's own
    pictures = tqdm(plugin_of("datasets", entry).stimuli(root, entry), desc="pack pictures", unit="image")
    stimulus_rows: pd.DataFrame = stimuli.write(
        pack, ((composed(p.image_id), p.pixels, p.labels) for p in pictures), perceptual_hash
    )
    if stimulus_rows.empty:
        raise ValueError(f"data set {entry['name']} gave no stimuli; expected one per image_id of its trials")
    data_digest = receipts.content_digest(source, receipt)
    turned_paths = receipts.read(receipt).get("turned", [])
    note = {"settings": dict(entry), "code": code, "data": data_digest, "units": {"offset": "bytes"}}
    tables.write(table, stimulus_rows, note | {"turned": {"n": len(turned_paths), "files": turned_paths}})
