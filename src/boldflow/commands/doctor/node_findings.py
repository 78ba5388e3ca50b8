"""A compute node, judged by what the probe said there."""

from collections.abc import Iterator, Mapping
from typing import Any

from boldflow.commands.doctor import probe
from boldflow.commands.doctor.findings import BAD, LOCKS, OK, WARN, Finding, of_folder, of_scratch, unreached
from boldflow.commands.doctor.node import Node
from boldflow.commands.doctor.profile import gpu_ids, without_cuda

PREFETCH = "snakemake --profile cpu prefetch"


def of_node(node: Node) -> Iterator[Finding]:
    """Judge a compute node by what the probe said there."""
    where = f"node of {node.partition}" + (" with GPU" if node.gpu else "")
    if node.error:
        if node.busy:
            todo = "start doctor again when the queue is shorter"
            yield Finding(WARN, where, f"not found out: {node.error}", todo)
        else:
            yield Finding(BAD, where, f"the probe did not run: {node.error}", "your jobs there will not run either")
        return
    look = node.look
    where = f"node {look['host']} ({node.partition}{', with GPU' if node.gpu else ''})"
    yield from _of_sharing(where, look)
    yield from of_folder(f"{where}, file locks", look)
    yield from of_scratch(f"{where}, scratch", look)
    if silent := unreached(look):
        todo = f"jobs there cannot download: run `{PREFETCH}` on the login node first"
        yield Finding(WARN, f"{where}, network", f"not reached: {silent}", todo)
    else:
        yield Finding(OK, f"{where}, network", f"reached {', '.join(look['network'])}")
    if node.gpu:
        yield from _of_gpu(where, look)


def _of_gpu(where: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge whether a job gets the one GPU that it asked for, and torch sees it."""
    single = len(gpu_ids(look)) == 1
    todo = "" if single else "a job must get the one GPU it asked for: ask the administrators (GresTypes, gres.conf)"
    yield Finding(OK if single else WARN, f"{where}, CUDA_VISIBLE_DEVICES", str(look["visible"]), todo)
    without = without_cuda(look["torch"])
    if without:
        todo = "GPU jobs would fail, so the profile sets gpu: 0; install torch for CUDA and start doctor again"
        yield Finding(WARN, f"{where}, torch", without, todo)
    else:
        yield Finding(OK, f"{where}, torch", f"{look['torch']['version']} sees {look['torch']['devices']} GPU")


def _of_sharing(where: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge whether a node sees what is written here and respects locks that are held here."""
    if not look["folder"] or not look["held"]["seen"]:
        waited = f" in {look['held']['after']:.0f} s" if look["folder"] else ""
        todo = "put the project on a file system that nodes share"
        yield Finding(BAD, f"{where}, project", f"a file written here does not appear there{waited}", todo)
        return
    yield Finding(OK, f"{where}, project", f"a file written here appears there after {look['held']['after']:.1f} s")
    if look["python"] != look["asked_python"]:
        todo = ".venv and the Python it was made from must be where nodes see them"
        yield Finding(BAD, f"{where}, Python", f"{look['asked_python']} does not start there", todo)
    else:
        yield Finding(OK, f"{where}, Python", f"{look['python']} starts there")
    lock = look["held"]["lock"]
    if lock == probe.REFUSED:
        yield Finding(OK, f"{where}, lock held here", "refused there")
    else:
        words = "taken there too" if lock == probe.TAKEN else lock
        yield Finding(BAD, f"{where}, lock held here", words, LOCKS)
