"""Making a DataLad data set out of a folder, or out of a table of keys: the same give the same commit on every machine.

Git's settings of user and machine are not read; names, dates and the data set's id are given.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

AUTHOR = {"NAME": "boldflow", "EMAIL": "boldflow@localhost"}
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "boldflow.invalid")
MESSAGE = "Data set as generated"


def create_dataset(folder: str | Path, dataset_id: str, largefiles_rule: str, date: str) -> str:
    """Turn a filled folder into a DataLad data set with one commit.

    Parameters
    ----------
    folder : str or Path
        All its files are committed; it must not lie in a git repository of its own yet.
    dataset_id : str
        Name from which the data set's id is derived: the same name gives the same id.
    largefiles_rule : str
        git-annex's matching expression of the files to annex, without spaces, since it goes into .gitattributes:
        ``(include=*.nii.gz)or(include=*.png)`` (https://git-annex.branchable.com/git-annex-matching-expression);
        the others go into git.
    date : str
        ISO 8601 with time zone, of the commit.

    Returns
    -------
    str
        The commit, 40 hexadecimal digits.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it is a repository already, the rule has spaces or holds for no file, or the date has no time zone.
    RuntimeError
        If git or git-annex fails, with its own words.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    if (folder / ".git").exists():
        raise ValueError(f"{folder} is a git repository already: create_dataset needs a plain folder")
    if not largefiles_rule or any(character.isspace() for character in largefiles_rule):
        raise ValueError(
            f"largefiles_rule must have no spaces, as (include=*.nii.gz)or(include=*.png), not {largefiles_rule!r}"
        )
    commit_time = datetime.fromisoformat(date)
    if commit_time.tzinfo is None:
        raise ValueError(f"date must name its time zone, such as 2024-01-01T00:00:00+00:00, not {date!r}")
    environment = _environment(commit_time)
    _begin(folder, environment, dataset_id, largefiles_rule)
    _run(folder, environment, "git", "annex", "add", "--quiet", ".")
    staged_lines = _run(folder, environment, "git", "ls-files", "--stage").splitlines()
    if not any(line.startswith("120000") for line in staged_lines):
        raise ValueError(
            f"largefiles_rule {largefiles_rule!r} holds for none of the {len(staged_lines)} files of {folder}"
        )
    return _commit(folder, environment)


def create_from_keys(folder: str | Path, dataset_id: str, keys: Mapping[str, str], date: str) -> str:
    """Make a DataLad data set whose files are known by path and key alone; nothing is fetched and nobody is asked.

    Parameters
    ----------
    folder : str or Path
        It must be empty, or not be there.
    dataset_id : str
        Name from which the data set's id is derived: the same name gives the same id.
    keys : mapping of str to str
        Annex key of each path, such as ``URL--s3://bucket/path``; neither may hold white space at the ends or a line's
        end. Whoever clones the data set tells git-annex where the content is (``annex.clone``, ``public_url``).
    date : str
        ISO 8601 with time zone, of the commit.

    Returns
    -------
    str
        The commit, 40 hexadecimal digits.

    Raises
    ------
    ValueError
        If the folder holds something, or there are no keys.
    RuntimeError
        If git or git-annex fails, with its own words.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: create_from_keys needs a folder of its own")
    if not keys:
        raise ValueError(f"no keys for {folder}; expected one per file")
    folder.mkdir(parents=True, exist_ok=True)
    environment = _environment(datetime.fromisoformat(date))
    _begin(folder, environment, dataset_id, "nothing")
    key_lines = "".join(f"{key} {path}\n" for path, key in sorted(keys.items()))
    _run(folder, environment, "git", "annex", "fromkey", "--force", "--quiet", "--batch", text=key_lines)
    _run(folder, environment, "git", "add", ".datalad", ".gitattributes")
    return _commit(folder, environment)


def _begin(folder: Path, environment: dict[str, str], dataset_id: str, largefiles_rule: str) -> None:
    identity = uuid.uuid5(NAMESPACE, dataset_id)
    (folder / ".datalad").mkdir(exist_ok=True)
    (folder / ".datalad" / "config").write_text(f'[datalad "dataset"]\n\tid = {identity}\n', encoding="utf-8")
    (folder / ".gitattributes").write_text(
        f"* annex.backend=MD5E\n* annex.largefiles={largefiles_rule}\n**/.git* annex.largefiles=nothing\n"
        ".datalad/** annex.largefiles=nothing\n",
        encoding="utf-8",
    )
    _run(folder, environment, "git", "init", "--quiet", "--initial-branch=main", "--template=")
    # a rebuilt data set is the same git-annex repository to its clones
    _run(folder, environment, "git", "config", "annex.uuid", str(uuid.uuid5(identity, "annex")))
    _run(folder, environment, "git", "annex", "init", "--quiet", dataset_id)


def _commit(folder: Path, environment: dict[str, str]) -> str:
    _run(folder, environment, "git", "commit", "--quiet", "--message", MESSAGE)
    return _run(folder, environment, "git", "rev-parse", "HEAD").strip()


def _environment(commit_time: datetime) -> dict[str, str]:
    git_date = f"{int(commit_time.timestamp())} {commit_time.strftime('%z')}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    python_folder = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([python_folder, environment.get("PATH", os.defpath)])
    for role in ("AUTHOR", "COMMITTER"):
        for field, value in AUTHOR.items():
            environment[f"GIT_{role}_{field}"] = value
        environment[f"GIT_{role}_DATE"] = git_date
    return environment | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ANNEX_VECTOR_CLOCK": str(int(commit_time.timestamp())),
        "LC_ALL": "C.UTF-8",
    }


def _run(folder: Path, environment: dict[str, str], *command: str, text: str = "") -> str:
    process = subprocess.run(
        command, cwd=folder, env=environment, input=text, capture_output=True, text=True, check=False
    )
    if process.returncode:
        error_text = (process.stderr or process.stdout).strip()
        raise RuntimeError(f"{' '.join(command[:3])} failed in {folder}: {error_text}")
    return process.stdout
