"""NSD-Flat: Parquet files with a picture and a flat map of activity per row, read in batches of bounded memory.

Hugging Face stores a picture as a struct of ``bytes`` and ``path``, older tools as plain bytes: both are read. A map is
a grey PNG that holds z-scores cut at +-2.5 in 255 steps, rounded down; pixels outside the cortex that was kept are 0,
which is stored as 127.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from boldflow.artifacts.releases import nsd_tables, nsd_tree

NUMBERS = ("subject_id", "session_id", "trial_id", "nsd_id", "coco_id")
SHARED = "shared1000"
BATCH = 64  # rows that are in memory at once
LIMIT, STEPS = 2.5, 255
OUTSIDE = STEPS // 2  # how 0 is stored, rounded down
# Numbers begin at 0 in this layout.
LAST = {"subject_id": 7, "session_id": 39, "trial_id": nsd_tables.ALL_TRIALS - 1, "nsd_id": 72999}


def index(paths: Sequence[str | Path]) -> pd.DataFrame:
    """List the rows of files, without pictures and maps.

    Parameters
    ----------
    paths : sequence of str or Path
        In the order in which they are to be read.

    Returns
    -------
    DataFrame
        subject_id, session_id, trial_id, nsd_id, coco_id (int; all but the last from 0), shared1000 (bool), file (place
        in ``paths``), group (row group of the file), row (in its group). Ordered by subject and trial.

    Raises
    ------
    ValueError
        If a file is not whole or lacks columns, a number is out of range, a session's trials are shuffled or given
        twice, or one picture has two COCO numbers; names file and row.
    """
    tables = []
    for file_number, path in enumerate(paths):
        with _opened(path) as file:
            missing = [name for name in (*NUMBERS, SHARED, "image", "activity") if name not in file.schema_arrow.names]
            if missing:
                raise ValueError(f"{path} lacks columns {missing}; there are: {file.schema_arrow.names}")
            group_sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            rows = _light(path, file)
        rows["file"], rows["group"] = file_number, np.repeat(np.arange(len(group_sizes)), group_sizes)
        rows["row"] = np.concatenate([np.arange(group_size) for group_size in group_sizes]) if group_sizes else 0
        tables.append(rows)
    maps = pd.concat(tables, ignore_index=True)
    _check_numbers(maps, [str(paths[file_number]) for file_number in maps["file"]])
    maps = maps.sort_values(["subject_id", "session_id"], kind="stable")
    _check_order(maps, paths)
    for name in ("coco_id", SHARED):
        n_distinct = maps.groupby("nsd_id")[name].nunique()
        if (n_distinct > 1).any():
            raise ValueError(
                f"{name} of nsd_id {n_distinct[n_distinct > 1].index[0]} differs between rows, expected one"
            )
    n_shared = maps.loc[maps[SHARED], "nsd_id"].nunique()
    if n_shared > nsd_tables.N_SHARED:
        raise ValueError(f"{n_shared} pictures are {SHARED}, expected {nsd_tables.N_SHARED} at most")
    return maps.reset_index(drop=True)


def _check_order(maps: pd.DataFrame, paths: Sequence[str | Path]) -> None:
    """Refuse sessions whose trials are shuffled or come twice."""
    is_backwards = maps.groupby(["subject_id", "session_id"])["trial_id"].diff() <= 0
    if is_backwards.any():
        row = maps[is_backwards].iloc[0]
        raise ValueError(
            f"{paths[int(row['file'])]}: trial_id {row['trial_id']} of subject_id {row['subject_id']} does not come "
            "after the one before it: are rows shuffled, or are files of two downloads in the folder?"
        )


def pictures(
    paths: Sequence[str | Path], rows: pd.DataFrame
) -> Iterator[tuple[int, np.ndarray, dict[str, float] | None]]:
    """Read the pictures of some rows of the index.

    Yields
    ------
    (int, uint8 array of shape (height, width, 3), dict or None)
        Place in ``rows``, the picture, and the area of each category of COCO in it; None where the files do not tell.
    """
    for places, batch, row_names in _batches(paths, rows, ("image", "objects.category", "objects.area")):
        areas = _areas(batch)
        for n, (place, png_bytes) in enumerate(zip(places, _contents(batch, "image", row_names), strict=True)):
            yield int(place), _decoded(png_bytes, row_names[n], "RGB"), None if areas is None else areas[n]


def inside(paths: Sequence[str | Path], rows: pd.DataFrame, shape: tuple[int, int]) -> np.ndarray:
    """Rebuild the mask of the flat map from the data: the pixels that are not 0 in every map of ``rows``.

    Returns
    -------
    bool array of ``shape``
    """
    mask = np.zeros(shape, dtype=bool)
    for _, maps in _maps(paths, rows, shape):
        mask |= (maps != OUTSIDE).any(axis=0)
    return mask


@dataclass(frozen=True)
class FlatBetas:
    """Flat maps of ``rows`` (of the index), within ``mask`` (height, width), that stay on disk until asked for.

    ``whole``: the mask holds all pixels there are, and a map with another one is refused.
    """

    paths: Sequence[str | Path]
    rows: pd.DataFrame
    mask: np.ndarray
    whole: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Trials and pixels of the mask."""
        return len(self.rows), int(np.count_nonzero(self.mask))

    def blocks(self, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Read the chosen pixels; see ``records.LazyBetas``. Values are z-scores as ``z_scores`` reads them.

        Raises
        ------
        ValueError
            If a file or a map is not whole, a map has another size than the mask, or pixels outside a whole mask.
        """
        pixels = np.flatnonzero(self.mask)[chosen]  # (n_chosen,)
        columns = np.arange(len(pixels))
        for places, maps in _maps(self.paths, self.rows, self.mask.shape):
            outside_mask = (maps != OUTSIDE) & ~self.mask  # (n_maps, height, width)
            if self.whole and outside_mask.any():
                row = self.rows.iloc[int(places[np.flatnonzero(outside_mask.any(axis=(1, 2)))[0]])]
                raise ValueError(
                    f"{self.paths[int(row['file'])]}, trial_id {row['trial_id']}: {np.count_nonzero(outside_mask)} "
                    "pixels are not 0 that are 0 in all maps of the subject's first session: is it another subject's "
                    "map?"
                )
            scores = z_scores(maps.reshape(len(maps), -1)[:, pixels])  # (n_maps, n_chosen)
            yield slice(int(places[0]), int(places[-1]) + 1), columns, scores


def z_scores(stored: np.ndarray) -> np.ndarray:
    """Read stored numbers as z-scores: u / 255 * 5 - 2.5, float32.

    Notes
    -----
    That is how the data's users read them. Since numbers were rounded down (floor(255 * (x + 2.5) / 5)), a value within
    the limits comes back 0 to 1/51 too low, half of that on average.
    """
    scores: np.ndarray = (stored * np.float32(2 * LIMIT / STEPS) - np.float32(LIMIT)).astype(np.float32)
    return scores


def _maps(
    paths: Sequence[str | Path], rows: pd.DataFrame, shape: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield places in ``rows``, one after the other, and their maps as stored, (n_some, height, width)."""
    for places, batch, row_names in _batches(paths, rows, ("activity",)):
        maps = np.empty((len(places), *shape), dtype=np.uint8)
        for n, png_bytes in enumerate(_contents(batch, "activity", row_names)):
            picture = _decoded(png_bytes, row_names[n], "L")
            if picture.shape != shape:
                raise ValueError(f"{row_names[n]}: the map is {picture.shape} px (height, width), expected {shape}")
            maps[n] = picture
        yield places, maps


def _batches(
    paths: Sequence[str | Path], rows: pd.DataFrame, columns: Sequence[str]
) -> Iterator[tuple[np.ndarray, pa.RecordBatch, list[str]]]:
    """Read columns of some rows in batches: places in ``rows``, the batch, and a name of each row for messages."""
    groups = rows.assign(place=np.arange(len(rows))).groupby(["file", "group"], sort=False)
    for (file_number, group), group_rows in groups:
        path = str(paths[int(file_number)])
        row_numbers, places = group_rows["row"].to_numpy(), group_rows["place"].to_numpy()
        with _opened(path) as file:
            n_before = 0
            try:
                for batch in file.iter_batches(
                    BATCH, row_groups=[int(group)], columns=list(columns), use_threads=False
                ):
                    in_batch = (row_numbers >= n_before) & (row_numbers < n_before + batch.num_rows)
                    if in_batch.any():
                        row_names = [
                            f"{path}, subject_id {row.subject_id}, trial_id {row.trial_id}"
                            for row in group_rows[in_batch].itertuples()
                        ]
                        yield places[in_batch], batch.take(pa.array(row_numbers[in_batch] - n_before)), row_names
                    n_before += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                raise _broken(path, error) from None


def _light(path: str | Path, file: pq.ParquetFile) -> pd.DataFrame:
    """Read the columns of numbers."""
    try:
        arrow_table = file.read(columns=[*NUMBERS, SHARED], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None
    for name in (*NUMBERS, SHARED):
        kind = arrow_table.schema.field(name).type
        is_right_kind = pa.types.is_boolean(kind) if name == SHARED else pa.types.is_integer(kind)
        if not is_right_kind or arrow_table[name].null_count:
            expected = "true or false" if name == SHARED else "whole numbers"
            raise ValueError(
                f"{path}: {name} holds {kind} with {arrow_table[name].null_count} gaps, expected {expected}"
            )
    rows: pd.DataFrame = arrow_table.to_pandas()
    return rows


def _check_numbers(rows: pd.DataFrame, row_names: list[str]) -> None:
    for name, largest in LAST.items():
        wrong_rows = np.flatnonzero(~rows[name].between(0, largest))
        if len(wrong_rows):
            first_wrong = wrong_rows[0]
            raise ValueError(
                f"{row_names[first_wrong]}: {name} is {rows[name].iloc[first_wrong]}, expected 0 to {largest}, as in "
                f"{len(wrong_rows)} of {len(rows)} rows: numbers begin at 0 in this layout"
            )
    session = rows["trial_id"] // nsd_tables.SESSION_TRIALS
    n_sessions = np.array([nsd_tree.N_SESSIONS[subject_name(number)] for number in range(LAST["subject_id"] + 1)])
    for is_wrong, rule in (
        (session != rows["session_id"], f"and a session has {nsd_tables.SESSION_TRIALS} trials, counted from 0"),
        (rows["session_id"] >= n_sessions[rows["subject_id"]], "and that subject has fewer sessions"),
    ):
        if is_wrong.any():
            first_wrong = int(np.flatnonzero(is_wrong)[0])
            row = rows.iloc[first_wrong]
            raise ValueError(
                f"{row_names[first_wrong]}: trial_id {row['trial_id']} of subject_id {row['subject_id']} is in "
                f"session_id {row['session_id']}, {rule}: are ids off by one?"
            )


def subject_name(number: int) -> str:
    """Name a subject by its number in the files, from 0: 0 is subj01."""
    return f"subj{number + 1:02d}"


def _contents(batch: pa.RecordBatch, name: str, row_names: list[str]) -> Iterator[bytes]:
    column = batch.column(batch.schema.get_field_index(name))
    if pa.types.is_struct(column.type):
        if column.type.get_field_index("bytes") < 0:
            raise ValueError(
                f"{row_names[0]}: {name} has the parts {[part.name for part in column.type]}, expected bytes"
            )
        column = column.field("bytes")
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise ValueError(f"{row_names[0]}: {name} holds {column.type}, expected the bytes of a PNG")
    for content, row_name in zip(column, row_names, strict=True):
        if not content.is_valid:
            raise ValueError(f"{row_name}: {name} is not inside (no bytes); get files that hold their pictures")
        yield content.as_py()


def _areas(batch: pa.RecordBatch) -> list[dict[str, float]] | None:
    """Area of each category of COCO in the pictures of a batch; None where the files do not tell."""
    column_number = batch.schema.get_field_index("objects")
    if column_number < 0:
        return None
    areas: list[dict[str, float]] = []
    for objects in batch.column(column_number).to_pylist():
        if not objects or {"category", "area"} - set(objects):
            return None
        area_of_category: dict[str, float] = {}
        for name, area in zip(objects["category"] or (), objects["area"] or (), strict=True):
            area_of_category[name] = area_of_category.get(name, 0.0) + float(area)
        areas.append(area_of_category)
    return areas


def _decoded(png_bytes: bytes, row_name: str, mode: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(png_bytes)) as picture:
            if picture.mode != mode:
                raise ValueError(f"{row_name}: the picture is of mode {picture.mode}, expected {mode}")
            return np.array(picture)
    except (OSError, SyntaxError) as error:  # Pillow calls a broken PNG a syntax error
        raise ValueError(f"{row_name}: {len(png_bytes)} bytes are no whole picture: {error}") from None


def _opened(path: str | Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        if not Path(path).is_file():
            raise
        raise _broken(path, error) from None


def _broken(path: str | Path, error: Exception) -> ValueError:
    size = Path(path).stat().st_size
    return ValueError(f"{path} ({size} bytes) is no whole Parquet: {error}; remove it and get it again")
