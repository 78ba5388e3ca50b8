"""A folder of the user's own downloads: files are known by their names, wherever below it they lie."""

from pathlib import Path

from boldflow.provenance import reached
from boldflow.settings import Entry


def folder_of(settings: Entry, remedy: str = "") -> str:
    """Give the full path of the folder that a data set's entry names (key ``folder``).

    Raises
    ------
    FileNotFoundError
        If there is no such folder; ``remedy`` says what to do.
    """
    folder = Path(settings["folder"]).expanduser()
    if not folder.is_dir():
        hint = f"; {remedy}" if remedy else ""
        raise FileNotFoundError(f"folder of data set {settings['name']} does not exist: {folder}{hint}")
    return str(folder.resolve())


def one(root: str | Path, name: str) -> str:
    """Find the one file of a name, relative to the folder with ``/``.

    Raises
    ------
    FileNotFoundError
        If there is none; names the folder.
    ValueError
        If there are several; names them.
    """
    return every(root, name)[0]


def every(root: str | Path, pattern: str, key: str = "betas_root") -> list[str]:
    """List the files whose names fit a pattern, sorted by name, relative to the folder with ``/``.

    ``key`` is the entry's key that names the folder, for the message.

    Raises
    ------
    FileNotFoundError
        If there is none; names the folder.
    ValueError
        If two have one name; names them.
    """
    root = Path(root)
    paths = reached(root, f"**/{pattern}")
    if not paths:
        raise FileNotFoundError(f"{root} has no {pattern}, in no folder below it: get it, or correct {key}")
    path_of_name: dict[str, str] = {}
    for path in sorted(paths):
        first_path = path_of_name.setdefault(Path(path).name, path)
        if first_path != path:
            raise ValueError(f"{root} has two files {Path(path).name}: {first_path} and {path}; keep one")
    return [path_of_name[name] for name in sorted(path_of_name)]


def lines(path: str | Path) -> list[str]:
    """Read the lines of a text, without white space around them; blank ones at the end are none.

    Raises
    ------
    ValueError
        If a line is blank and another follows, or the file is no text; names file and line.
    """
    path = Path(path)
    file_bytes = path.read_bytes()
    try:
        texts = [line.strip() for line in file_bytes.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        line = file_bytes[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: byte {file_bytes[error.start]:#x} is no UTF-8 text") from None
    while texts and not texts[-1]:
        texts.pop()
    if "" in texts:
        raise ValueError(f"{path}, line {texts.index('') + 1} is blank, expected a name")
    return texts
