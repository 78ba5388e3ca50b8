"""What a machine says of the project's folder, scratch space, network and GPU; run here and on compute nodes.

A compute node gets this file as text (``python -c``), where neither the folder nor our Python need be there. So it
needs the standard library alone and nothing that Python 3.7 lacks. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

MARK = "boldflow-doctor:"  # a node may print other things before its answer
REFUSED, TAKEN = "refused", "taken"
# takes a lock in a process of its own
SECOND = """
import fcntl, sys
try:
    with open(sys.argv[1], "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit("refused")
except OSError as error:
    sys.exit(str(error))
sys.exit("taken")
"""
TORCH = """
import json, sys, torch
found = {"version": torch.__version__, "cuda": torch.version.cuda, "devices": torch.cuda.device_count()}
sys.stdout.write("\\n" + json.dumps(found))
"""


def own_name(folder: str, what: str) -> str:
    """Make a name in a folder that no other process uses."""
    return os.path.join(folder, f"boldflow-doctor-{socket.gethostname()}-{os.getpid()}.{what}")


def second_lock(path: str) -> str:
    """Try a lock in a second process: ``refused``, ``taken``, or the error in words."""
    done = subprocess.run([sys.executable, "-c", SECOND, path], capture_output=True, text=True, check=False)
    return done.stderr.strip()


def locking(folder: str, flock: Any = fcntl.flock) -> str:
    """Say why file locks do not exclude a second process in a folder; empty where they do.

    Parameters
    ----------
    folder : str
    flock : what the first process takes and gives back its lock with
    """
    path = own_name(folder, "lock")
    try:
        with open(path, "w") as handle:
            flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held_outcome = second_lock(path)
            flock(handle, fcntl.LOCK_UN)
            free_outcome = second_lock(path)
    except OSError as error:
        return f"no lock can be taken: {error}"
    finally:
        _remove(path)
    if held_outcome == TAKEN:
        return "a second process got the lock that the first held"
    if held_outcome != REFUSED:
        return f"the second process failed: {held_outcome}"
    return "" if free_outcome == TAKEN else f"a lock that was given back cannot be taken: {free_outcome}"


def linking(folder: str) -> str:
    """Say why hard links cannot be made in a folder; empty where they can."""
    path, link = own_name(folder, "file"), own_name(folder, "link")
    try:
        with open(path, "w"):
            os.link(path, link)
        return "" if os.stat(path).st_nlink == 2 else "a hard link was made and is not counted"
    except OSError as error:
        return str(error)
    finally:
        _remove(path)
        _remove(link)


def scratch(places: list[list[str]]) -> list[dict[str, Any]]:
    """Look at scratch folders, each ``[name, path]`` or ``[name of a variable, ""]``."""
    states: list[dict[str, Any]] = []
    for name, default_path in places:
        path = default_path or os.environ.get(name, "")
        entry: dict[str, Any] = {"name": name, "path": path, "state": "not set", "free": 0}
        if path:
            entry["state"] = "missing"
            if os.path.isdir(path):
                try:
                    with tempfile.TemporaryFile(dir=path):
                        disk = os.statvfs(path)
                    entry["state"], entry["free"] = "writable", disk.f_bavail * disk.f_frsize
                except OSError as error:
                    entry["state"] = f"not writable ({error.strerror})"
        states.append(entry)
    return states


def network(hosts: list[str], seconds: float) -> dict[str, str]:
    """Connect to hosts (``name:port``) at once and say why each cannot be reached; empty where it can."""
    errors = {host: f"no answer in {seconds:g} s" for host in hosts}

    def connect(host: str) -> None:
        name, port = host.rsplit(":", 1)
        try:
            socket.create_connection((name, int(port)), timeout=seconds).close()
            errors[host] = ""
        except OSError as error:
            errors[host] = str(error)

    threads = [threading.Thread(target=connect, args=(host,), daemon=True) for host in hosts]
    end = time.monotonic() + seconds + 0.5  # a name server that hangs knows no time limit of ours
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(errors)


def torch(seconds: float) -> dict[str, Any]:
    """Import torch in a process of its own: version, CUDA it was built for, devices it sees, or ``error``."""
    try:
        process = subprocess.run(
            [sys.executable, "-c", TORCH], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"import took more than {seconds:g} s"}
    if process.returncode:
        return {"error": (process.stderr.strip().splitlines() or [f"ended with {process.returncode}"])[-1]}
    torch_facts: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return torch_facts


def held_elsewhere(path: str, token: str, seconds: float) -> dict[str, Any]:
    """Look for a file that another machine has just written and holds the lock of, as a compute node does.

    Returns
    -------
    dict
        ``seen``: its content is right; ``after``: seconds until it was; ``lock``: as ``second_lock``.
    """
    start = time.monotonic()
    while True:
        try:
            with open(path) as handle:
                is_seen = handle.read() == token
        except OSError:
            is_seen = False
        waited_s = time.monotonic() - start
        if is_seen or waited_s > seconds:
            return {"seen": is_seen, "after": waited_s, "lock": second_lock(path) if is_seen else ""}
        time.sleep(0.5)


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks for: ``folder``, ``places``, ``hosts`` with ``connect_s``, ``held``, ``torch_s``."""
    folder = asked["folder"]
    folder_exists = os.path.isdir(folder)
    facts: dict[str, Any] = {
        "host": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "python": sys.executable,
        "folder": folder_exists,
        "lock": locking(folder) if folder_exists else "the folder is not there",
        "link": linking(folder) if folder_exists else "the folder is not there",
        "scratch": scratch(asked["places"]),
        "network": network(asked["hosts"], asked["connect_s"]),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    if "held" in asked:
        facts["held"] = held_elsewhere(asked["held"], asked["token"], asked["appear_s"])
    if asked.get("torch_s"):
        facts["torch"] = torch(asked["torch_s"])
    return facts


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


if __name__ == "__main__":
    sys.stdout.write("\n" + MARK + json.dumps(look(json.loads(sys.argv[1]))) + "\n")
