"""This machine, judged."""

from collections.abc import Iterator
from importlib import metadata
from platform import python_version
from sys import version_info

from boldflow.commands.doctor import asking
from boldflow.commands.doctor.findings import BAD, GB, OK, WARN, Finding, gigabytes, of_folder, of_scratch, unreached
from boldflow.commands.doctor.machine import Machine
from boldflow.commands.doctor.profile import gpu_ids

# .venv takes about 2 GB, the demo less than 1
DEMO_BYTES, VENV_BYTES = GB, 2 * GB


def of_machine(machine: Machine) -> Iterator[Finding]:
    """Judge this machine."""
    yield Finding(OK, "cores", f"{machine.cores} usable ({machine.cores_of})")
    yield Finding(OK, "memory", f"{machine.mem_mb} MB usable ({machine.mem_of})")
    needed_bytes = DEMO_BYTES + (0 if machine.venv else VENV_BYTES)
    disk_text = f"{gigabytes(machine.disk_free)} free for the project (a quota of your account would not show here)"
    disk_text += f"; needed for {'the demo' if machine.venv else 'the demo and .venv'}: about {gigabytes(needed_bytes)}"
    is_short = machine.disk_free < needed_bytes
    yield Finding(BAD if is_short else OK, "disk", disk_text, "make room or move the project" if is_short else "")
    is_recent = version_info[:2] >= (3, 11)
    yield Finding(OK if is_recent else BAD, "Python", python_version(), "" if is_recent else "3.11 or later is needed")
    yield from _of_programs(machine)
    yield from _of_torch(machine)
    cache_todo = "export XDG_CACHE_HOME=a folder that you may write, also in jobs; Snakemake does not start without"
    yield Finding(BAD, "cache", machine.cache, cache_todo) if machine.cache else Finding(OK, "cache", "writable")
    yield from of_folder("file locks", machine.look)
    yield from of_scratch("scratch", machine.look)
    unreached_hosts = unreached(machine.look)
    if unreached_hosts:
        yield Finding(WARN, "network", f"not reached: {unreached_hosts}", "downloads fail here; the demo needs none")
    else:
        yield Finding(OK, "network", f"reached {', '.join(asking.HOSTS)}")


def _of_torch(machine: Machine) -> Iterator[Finding]:
    gpu_names = [" ".join(line.split()) for line in machine.gpus.text.splitlines()]
    none_text = f"none ({machine.gpus.error or 'nvidia-smi lists none'})"
    yield Finding(OK, "GPUs here", "; ".join(gpu_names) or none_text)
    torch_facts = machine.torch
    if "error" in torch_facts:
        yield Finding(BAD, "torch", torch_facts["error"], "run make to set .venv up")
        return
    build = f"built for CUDA {torch_facts['cuda']}" if torch_facts["cuda"] else "built without CUDA"
    torch_text = f"{torch_facts['version']}, {build}, sees {torch_facts['devices']} GPU"
    if gpu_names and not torch_facts["devices"]:
        yield Finding(WARN, "torch", torch_text, "torch cannot use the GPU here: install its build for CUDA")
    else:
        yield Finding(OK, "torch", torch_text)
    if torch_facts["devices"] and len(gpu_ids(machine.look)) != 1:
        todo = "name one GPU before a run that uses it here, for example: export CUDA_VISIBLE_DEVICES=0"
        yield Finding(WARN, "CUDA_VISIBLE_DEVICES", str(machine.look["visible"]), todo)


def _of_programs(machine: Machine) -> Iterator[Finding]:
    for name, todo in (
        ("git", "install it with the system's package manager"),
        ("git-annex", "it comes with the package into .venv: start doctor with .venv/bin/python, or run make"),
    ):
        program = machine.programs[name]
        yield Finding(BAD, name, program.error, todo) if program.error else Finding(OK, name, program.text.strip())
    for name in ("snakemake", "snakemake-executor-plugin-slurm"):
        try:
            yield Finding(OK, name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(BAD, name, "not there", "start doctor with .venv/bin/python, or run make to set .venv up")
