"""What every adapter does first: log, signals, claim, PATH; and the device a job was given."""

import atexit
import hashlib
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

# The package of this checkout, also inside conda environments (they strip PYTHONPATH).
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
os.environ.setdefault("TQDM_MININTERVAL", "2")
if "BOLDFLOW_WATCH_CODE" in os.environ:  # of the tests: what the job executes must lie inside its digest
    from boldflow.symbols import watching

    watching.begin()


def start(snakemake: Any, looks_outside: bool = False) -> None:
    """Send log records, progress and tracebacks to the rule's log, claim the rule's outputs, and listen to signals.

    The process ends here where the outputs can be put back, since nothing that they are made of has changed: so
    adapters call this before they import a stage, which may load much. ``looks_outside`` says that the job looks at
    what is no input, as a download does: it is always done.
    """
    from boldflow import registry
    from boldflow.artifacts.store.claims import Claim
    from boldflow.runs import costs, failures

    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = log.open("w", buffering=1, encoding="utf-8")
    terminal = sys.stderr
    sys.stderr = _Tee(terminal, handle)
    sys.stdout = sys.stderr
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=handle)
    logging.captureWarnings(True)
    failed: list[type[BaseException]] = []
    outputs = [str(path) for path in snakemake.output]

    def explain(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        failed.append(kind)
        traceback.print_exception(kind, error, trace, file=handle)
        notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", []))
        terminal.write(f"\n{snakemake.rule}: {kind.__name__}: {error}{notes}\n  (traceback in {log})\n")
        terminal.flush()
        wildcards = {name: str(value) for name, value in snakemake.wildcards.items()}
        failures.note(outputs, snakemake.rule, wildcards, f"{kind.__name__}: {error}", str(log))

    sys.excepthook = explain
    # git-annex is a program of the same environment
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    claim = Claim(outputs, _ticket(snakemake), looks_outside)
    if not claim.take():
        costs.set_aside(snakemake.log[0])
        sys.exit(0)
    costs.forget(snakemake.log[0])
    from boldflow.stages import _interruption  # loads numpy

    _interruption.listen()
    code = json.loads(snakemake.params["code"])
    registry.confine(code)
    if "BOLDFLOW_WATCH_CODE" in os.environ:
        watching.expect(code)
    atexit.register(lambda: failed or claim.keep())


def places(snakemake: Any, section: str = "datasets") -> str:
    """Hand what the entry says of where this machine finds things: no parameter, so that no rerun follows."""
    from boldflow import (
        catalogue,
        provenance,
    )

    name = snakemake.wildcards[section.removesuffix("s")]
    return provenance.canonical(catalogue.places(snakemake.config, section, name))


def device(snakemake: Any) -> str:
    """Name the device this job asked for: "cuda" exactly when it asked for a GPU, and has got exactly that one.

    Raises
    ------
    RuntimeError
        If the job has got another number of GPUs than it asked for.
    """
    n_asked_for = int(snakemake.resources.get("gpu", 0))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if n_asked_for == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # where nothing confines jobs, each would see all GPUs
        return "cpu"
    gpus = [] if named is None else [gpu for gpu in named.split(",") if gpu.strip()]
    if n_asked_for != 1 or len(gpus) != 1:
        raise RuntimeError(
            f"this job asked for {n_asked_for} GPU(s) and has got {len(gpus)} (CUDA_VISIBLE_DEVICES={named!r}); a job "
            "takes exactly one: Slurm names it where GPUs are configured (GresTypes=gpu); without Slurm set the "
            "variable to one GPU, or choose the CPU with --set-resources of the rule gpu=0"
        )
    return "cuda"


def _ticket(snakemake: Any) -> str:
    """Digest what the job's outputs are made of: rule, parameters with code, content of inputs; and the environment."""
    from boldflow.runs.pictures import checksums

    subject = str(snakemake.wildcards.get("subject", ""))  # a file of all subjects may change for others alone
    reads_own = snakemake.params.get("pictures") == "own"
    inputs = checksums(list(map(str, snakemake.input)), subject, reads_own)  # in the order of a table's rows
    names = [{name: str(paths) for name, paths in files.items()} for files in (snakemake.input, snakemake.output)]
    params = {name: str(value) for name, value in snakemake.params.items()}
    environment = Path(sys.prefix).name  # of conda's, a digest of its packages
    words = [snakemake.rule, params, inputs, names, list(map(str, snakemake.output)), environment]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


class _Tee:
    """Write to the terminal and to the log."""

    def __init__(self, *streams: Any) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return int(self._streams[0].fileno())
