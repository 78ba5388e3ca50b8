"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
WORDS_OF_FULL = re.compile(r"no space|too large|quota|os error|written", re.IGNORECASE)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; when the block ends well, it gets the final name.

    The content reaches the disk before the name does. When the block raises, nothing stays. The temporary name
    keeps the suffix of the final one, since some writers choose their format by it.

    Parameters
    ----------
    path : str or Path
        Final name; its folder is made where missing.

    Yields
    ------
    Path
        Name to write to.

    Raises
    ------
    Exception
        Of the block; of a writer, with the file and the free bytes of its disk in a note.
    """
    final_path = Path(path)
    final_path.parent.mkdir(parents=True, exist_ok=True)
    temporary = final_path.with_name(f".{final_path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part{final_path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.chmod(0o666 & ~_umask())  # some writers let nobody else read
        temporary.replace(final_path)
    except Exception as error:
        if _is_of_writing(error):  # what the block reads may be at fault as well
            disk = os.statvfs(final_path.parent)
            error.add_note(f"while writing {final_path}: {disk.f_bavail * disk.f_frsize} bytes are free there")
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _is_of_writing(error: Exception) -> bool:
    """Tell whether an error may be of a full disk: writers tell that in words of their own."""
    is_of_system = isinstance(error, OSError) and error.errno in (None, *FULL)
    return is_of_system or isinstance(error, RuntimeError) or WORDS_OF_FULL.search(str(error)) is not None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def broken(path: str | Path, kind: str, error: object) -> ValueError:
    """Make the error for a file that is not whole: which, how many bytes, and how to make it again."""
    size = Path(path).stat().st_size
    advice = f"make it again with: snakemake --profile cpu -f {path}"
    return ValueError(f"{path} ({size} bytes) is not whole {kind}: {error}; {advice}")
