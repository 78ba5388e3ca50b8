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
    node_name = f"node of {node.partition}" + (" with GPU" if node.gpu else "")
    if node.error:
        if node.busy:
            todo = "start doctor again when the queue is shorter"
            yield Finding(WARN, node_name, f"not found out: {node.error}", todo)
        else:
            yield Finding(BAD, node_name, f"the probe did not run: {node.error}", "your jobs there will not run either")
        return
    look = node.look
    node_name = f"node {look['host']} ({node.partition}{', with GPU' if node.gpu else ''})"
    yield from _of_sharing(node_name, look)
    yield from of_folder(f"{node_name}, file locks", look)
    yield from of_scratch(f"{node_name}, scratch", look)
    if unreached_hosts := unreached(look):
        todo = f"jobs there cannot download: run `{PREFETCH}` on the login node first"
        yield Finding(WARN, f"{node_name}, network", f"not reached: {unreached_hosts}", todo)
    else:
        yield Finding(OK, f"{node_name}, network", f"reached {', '.join(look['network'])}")
    if node.gpu:
        yield from _of_gpu(node_name, look)


def _of_gpu(node_name: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge whether a job gets the one GPU that it asked for, and torch sees it."""
    has_one_gpu = len(gpu_ids(look)) == 1
    todo = (
        "" if has_one_gpu else "a job must get the one GPU it asked for: ask the administrators (GresTypes, gres.conf)"
    )
    yield Finding(OK if has_one_gpu else WARN, f"{node_name}, CUDA_VISIBLE_DEVICES", str(look["visible"]), todo)
    problem = without_cuda(look["torch"])
    if problem:
        todo = "GPU jobs would fail, so the profile sets gpu: 0; install torch for CUDA and start doctor again"
        yield Finding(WARN, f"{node_name}, torch", problem, todo)
    else:
        yield Finding(OK, f"{node_name}, torch", f"{look['torch']['version']} sees {look['torch']['devices']} GPU")


def _of_sharing(node_name: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge whether a node sees what is written here and respects locks that are held here."""
    if not look["folder"] or not look["held"]["seen"]:
        waited_text = f" in {look['held']['after']:.0f} s" if look["folder"] else ""
        todo = "put the project on a file system that nodes share"
        yield Finding(BAD, f"{node_name}, project", f"a file written here does not appear there{waited_text}", todo)
        return
    yield Finding(OK, f"{node_name}, project", f"a file written here appears there after {look['held']['after']:.1f} s")
    if look["python"] != look["asked_python"]:
        todo = ".venv and the Python it was made from must be where nodes see them"
        yield Finding(BAD, f"{node_name}, Python", f"{look['asked_python']} does not start there", todo)
    else:
        yield Finding(OK, f"{node_name}, Python", f"{look['python']} starts there")
    lock = look["held"]["lock"]
    if lock == probe.REFUSED:
        yield Finding(OK, f"{node_name}, lock held here", "refused there")
    else:
        lock_text = "taken there too" if lock == probe.TAKEN else lock
        yield Finding(BAD, f"{node_name}, lock held here", lock_text, LOCKS)
