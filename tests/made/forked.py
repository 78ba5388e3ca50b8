"""Python modules run as programs, in processes forked from one that has imported what is slow to import.

A run differs from ``python -m`` in nothing but its start: half of a dry run of Snakemake is spent on importing it. What
is imported beforehand is Snakemake's; the package of a copy of the project is imported in the run itself.
"""

import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["snakemake.cli"])
AT_START = "PYTHONHASHSEED"  # a variable that a forked process would read too late


def run(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    apart: bool = False,
    timeout: float = 550,
    largest: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a module as ``python -m`` does.

    Parameters
    ----------
    module, arguments : its name, and what follows it
    folder : working directory, first on the path of modules as with ``python -m``
    environment : all variables
    apart : bool
        Whether stderr is kept apart from stdout.
    timeout : float
        Seconds; the run is killed then.
    largest : int, optional
        Limit of the bytes of any file that is written, the output among them.

    Raises
    ------
    subprocess.TimeoutExpired
        As ``subprocess.run``.
    """
    if environment.get(AT_START) != os.environ.get(AT_START):
        assert largest is None
        words = [sys.executable, "-m", module, *arguments]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE if apart else subprocess.STDOUT}
        return subprocess.run(words, cwd=folder, env=environment, text=True, check=False, timeout=timeout, **streams)
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place) / "stdout", Path(place) / "stderr"]
        for file in files:
            file.touch()
        told = (module, [*arguments], str(folder), {**environment}, [str(f) for f in files[: 1 + apart]], largest)
        process = CONTEXT.Process(target=_be, args=told)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired([module, *arguments], timeout, files[0].read_text())
        said = [file.read_text(errors="replace") for file in files]
    return subprocess.CompletedProcess([module, *arguments], process.exitcode, *said)


def _be(
    module: str, arguments: list[str], folder: str, environment: dict[str, str], files: list[str], largest: int | None
) -> None:
    """Become the program."""
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    for number, name in zip((1, 2), [files[0], files[-1]], strict=True):
        handle = os.open(name, os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # the path as ``python -m`` has it: the folder, PYTHONPATH, what is installed
    before = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:] = [folder, *before, *(one for one in sys.path if one and one not in (folder, *before))]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
