"""``python -m boldflow show STUDY``: the head of a study's leaderboard and where its report is."""

from pathlib import Path

import pandas as pd

from boldflow.artifacts.store import tables
from boldflow.registry import nearest

SHOWN = ["dataset", "subject", "direction", "feature", "model", "value", "ci_low", "ci_high", "chance"]
N_ROWS = 20


def show(study: str) -> str:
    """Write the head of a study's leaderboard and where its report is.

    Parameters
    ----------
    study : str
        Name of a study that was run in the working folder, or the path of its file.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If the study has no leaderboard yet; names the command that makes it.
    """
    given_study, study = study, Path(study).stem if study.endswith((".yaml", ".yml")) else study
    folder = Path("results") / "studies" / study
    path = folder / "leaderboard.parquet"
    if not path.is_file():
        command = f"snakemake --profile cpu --config study={given_study}"
        known_studies = sorted(board.parent.name for board in folder.parent.glob("*/leaderboard.parquet"))
        hint = f"; {nearest(study, known_studies)}" if known_studies else ""
        raise FileNotFoundError(f"{path} does not exist; {command} makes it{hint}")
    report = folder / "report" / "index.html"
    report_text = f"report: {report}" if report.is_file() else "the report is not written yet"
    return f"{_head(tables.read(path))}\ntable: {path}\n{report_text}"


def _head(board: pd.DataFrame) -> str:
    """First rows of the primary metric, and how many more there are."""
    primary = board[board["primary"]].reset_index(drop=True)
    mark = "SIMULATED data: " if bool(primary["simulated"].any()) else ""
    metric, view = primary["metric"].iloc[0], primary["view"].iloc[0]
    rows = primary.head(N_ROWS)[SHOWN].to_string(index=False, float_format="{:.3f}".format)
    more = f"\n... {len(primary) - N_ROWS} more rows" if len(primary) > N_ROWS else ""
    return f"{mark}{metric} ({view} view), 95 % interval\n{rows}{more}"
