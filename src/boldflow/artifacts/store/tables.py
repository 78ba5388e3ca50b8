"""Tables: Parquet with the sidecar inside (key ``boldflow`` of the file's metadata), and CSV for people."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from boldflow.artifacts.store.atomic import atomic, broken

KEY = b"boldflow"


def write(path: str | Path, table: pd.DataFrame, sidecar: dict[str, Any] | None = None) -> None:
    """Write a table as Parquet; the row index is not kept.

    Parameters
    ----------
    path : str or Path
    table : DataFrame
    sidecar : dict, optional
        Sources, code digest, settings, versions and units; it travels in the file's own metadata.
    """
    arrow_table = pa.Table.from_pandas(table, preserve_index=False)
    sidecar_json = json.dumps(sidecar or {}, sort_keys=True, allow_nan=False).encode()
    arrow_table = arrow_table.replace_schema_metadata({**(arrow_table.schema.metadata or {}), KEY: sidecar_json})
    with atomic(path) as temporary:
        pq.write_table(arrow_table, temporary, compression="zstd")


def read(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet table.

    Raises
    ------
    ValueError
        If the file is not whole Parquet (names it and its bytes) or lacks a column (names those there are).
    """
    arrow_table = _open(path).read()
    missing_columns = [name for name in columns or [] if name not in arrow_table.column_names]
    if missing_columns:
        raise ValueError(f"{path} lacks columns {missing_columns}; there are: {arrow_table.column_names}")
    table: pd.DataFrame = arrow_table.to_pandas()
    return table[columns] if columns else table


def sidecar(path: str | Path) -> dict[str, Any]:
    """Read the sidecar that travels in a Parquet file."""
    note: dict[str, Any] = json.loads((_open(path).schema_arrow.metadata or {}).get(KEY, b"{}"))
    return note


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with shortest round-trip numbers; missing values are empty."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a CSV; empty cells are missing.

    Raises
    ------
    ValueError
        If it has no line at all.
    """
    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise broken(path, "CSV", error) from None


def read_text_csv(path: str | Path) -> pd.DataFrame:
    """Read a CSV as text: cells are as they stand, empty ones are empty."""
    return pd.read_csv(path, dtype="string", keep_default_na=False)


def _open(path: str | Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        if not Path(path).is_file():
            raise
        raise broken(path, "Parquet", error) from None
