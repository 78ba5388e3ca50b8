"""``python -m boldflow show STUDY``: the head of a study's leaderboard and where its report is."""

from pathlib import Path

from boldflow.artifacts.store import tables

SHOWN = ["dataset", "subject", "direction", "feature", "model", "value", "ci_low", "ci_high", "chance"]


def show(study: str) -> str:
    """Write the head of a study's leaderboard and where its report is.

    Parameters
    ----------
    study : str
        Name of a study that was run in the working folder.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If the study has no leaderboard yet; names the command that makes it.
    """
    folder = Path("results") / "studies" / study
    path = folder / "leaderboard.parquet"
    if not path.is_file():
        command = f"snakemake --profile cpu --config study={study}"
        raise FileNotFoundError(f"{path} does not exist; {command} makes it")
    board = tables.read(path)
    primary = board[board["primary"]].reset_index(drop=True)
    word = "SIMULATED data: " if bool(primary["simulated"].any()) else ""
    first = primary.iloc[0]
    head = primary.head(20)[SHOWN].to_string(index=False, float_format="{:.3f}".format)
    more = f"\n... {len(primary) - 20} more rows" if len(primary) > 20 else ""
    report = folder / "report" / "index.html"
    place = f"report: {report}" if report.is_file() else "the report is not written yet"
    return f"{word}{first['metric']} ({first['view']} view), 95 % interval\n{head}{more}\ntable: {path}\n{place}"
