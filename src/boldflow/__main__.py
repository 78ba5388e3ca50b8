"""Commands beside the workflow: ``python -m boldflow show STUDY``, ``python -m boldflow config-page``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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
    from boldflow.artifacts import tables

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


def config_page() -> str:
    """Write config/README.md from the schemas of the working folder."""
    from boldflow import registry
    from boldflow.report import config_page

    return config_page.render(registry.read_schemas(Path("workflow") / "schemas"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m boldflow", description="Commands beside the workflow.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("show", help="print the head of a study's leaderboard and the report's place")
    one.add_argument("study", help="name of the study")
    commands.add_parser("config-page", help="print config/README.md as the schemas describe it")
    given = parser.parse_args(arguments)
    try:
        print(show(given.study) if given.command == "show" else config_page())
    except FileNotFoundError as error:
        print(f"boldflow {given.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
