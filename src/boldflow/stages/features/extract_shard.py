"""One shard of a feature: a share of the pictures, described in a job of its own."""

from collections.abc import Sequence
from pathlib import Path

from boldflow.artifacts.store import tables, weights
from boldflow.artifacts.store.described import Described
from boldflow.artifacts.store.partial import Rows
from boldflow.runs.kept import rows_folder
from boldflow.settings import read_entry
from boldflow.stages.features._extraction import describe, row_ticket, share, ticket
from boldflow.vocabulary.devices import Device


def run(
    pack: str,
    table: str,
    network: Sequence[str],
    part: str,
    shard: str,
    settings: str,
    code: str,
    device: Device,
    workers: int,
) -> None:
    """Describe the pictures of one shard and write their rows as safetensors.

    Parameters
    ----------
    pack, table : paths of the stimulus pack and its table
    network : path of the receipt of the feature's checkpoint; none where it needs none
    part : path to write
    shard : which, such as "0-of-3"
    settings : the feature's catalogue entry, JSON text
    code : digests of the modules of this stage and the feature's plug-in, JSON text
    device : "cpu" or "cuda", as the job asked
    workers : threads that read and prepare pictures

    Raises
    ------
    ValueError
        If pictures are missing or the plug-in gives another number of rows.
    """
    entry = read_entry(settings)
    stimulus_rows = tables.read(table)
    shard_rows = stimulus_rows.iloc[share(len(stimulus_rows), shard)]
    partial_path = Path(part).with_name(f".{Path(part).stem}.rows")
    partial_rows = Rows(partial_path, ticket(entry, code, table, network, device, shard), len(shard_rows))
    row_digest = row_ticket(entry, code, network, device)
    earlier_rows = Described(rows_folder(part), row_digest)
    feature_rows, note = describe(pack, shard_rows, entry, network, device, workers, partial_rows, earlier_rows)
    identity = {"shard": shard, "device": device, "row_ticket": row_digest}
    weights.write(part, {"rows": feature_rows}, identity | {key: str(value) for key, value in note.items()})
    partial_rows.remove()
