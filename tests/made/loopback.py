"""A server on 127.0.0.1 that misbehaves as told, and a data set in the state in which OpenNeuro's are published."""

import dataclasses
import gzip
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nibabel as nib
import numpy as np

BUCKET = "openneuro.org"
REMOTE, PRIVATE = "29c5ea65-949e-48d9-920e-7ebf96d40001", "38a72518-b9f2-4577-a391-7a0300e40002"
DATE = "2018-09-11T00:00:00+00:00"
PAGE = b"<!DOCTYPE html><html><body>Access denied</body></html>"
CHUNK = 16384
STALL_S = 120  # how long a stalled answer keeps its connection


@dataclasses.dataclass
class Request:
    """What was asked and what was given."""

    path: str
    start: int
    status: int
    sent: int = 0


class Server(ThreadingHTTPServer):
    """Serves bytes by path. ``faults`` are used up one per request of a path; the last stays if ``forever``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contents: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.forever: set[str] = set()
        self.ranges = True
        self.requests: list[Request] = []
        self.pause_s = 0.0  # after each chunk: time for a test to interrupt
        self.closing = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault_of(self, path: str) -> str:
        with self.lock:
            left = self.faults.get(path, [])
            if not left:
                return ""
            return left[0] if path in self.forever and len(left) == 1 else left.pop(0)

    def gets(self, path: str) -> list[Request]:
        """Requests of a path that were answered with content."""
        return [one for one in self.requests if one.path == path and one.status in (200, 206)]

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        fault = self.server.fault_of(path) if body else ""
        content = self.server.contents.get(path)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and self.server.ranges and content is not None else 0
        status = 206 if start else 200
        if content is None:
            status, content = 404, b"<Error><Code>NoSuchKey</Code></Error>"
        elif fault.isdigit():
            status, content, start = int(fault), b"<Error><Code>SlowDown</Code></Error>", 0
        elif fault == "html":
            status, content, start = 200, PAGE, 0
        elif fault == "flip":
            content = bytes([content[0] ^ 1]) + content[1:-1] + bytes([content[-1] ^ 1])
        elif fault == "short":
            content = content[: len(content) // 2]
        if start and start >= len(content):
            status, content, start = 416, b"", 0
        note = Request(path, start, status)
        if body:
            with self.server.lock:
                self.server.requests.append(note)
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if status == 416:
            self.send_header("Content-Range", f"bytes */{len(self.server.contents[path])}")
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body:
            self._send(content[start:], fault, note)

    def _send(self, content: bytes, fault: str, note: Request) -> None:
        kind, _, number = fault.partition(":")
        stop = int(number) if kind in ("cut", "stall") else len(content)
        for place in range(0, len(content), CHUNK):
            part = content[place : min(place + CHUNK, stop)]
            self.wfile.write(part)
            note.sent += len(part)
            if place + CHUNK >= stop and stop < len(content):
                self.wfile.flush()
                if kind == "stall":
                    self.server.closing.wait(STALL_S)
                self.close_connection = True
                self.connection.shutdown(2)
                return
            time.sleep(self.server.pause_s)


@contextmanager
def serve() -> Iterator[Server]:
    """Serve until the block ends."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def allowed() -> dict[str, str]:
    """Variables that let git-annex read from 127.0.0.1, which it refuses by itself."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "annex.security.allowed-ip-addresses",
        "GIT_CONFIG_VALUE_0": "127.0.0.1",
    }


def run(folder: Path, *command: str, text: str = "", **variables: str) -> str:
    """Run a program as one author at one time."""
    who = {f"GIT_{role}_{part}": "test" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    when = {f"GIT_{role}_DATE": DATE for role in ("AUTHOR", "COMMITTER")}
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment = {**os.environ, **own, **who, **when, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def publish(
    server: Server, accession: str, work: Path, large: Sequence[str], versions: bool = False, exported: bool = False
) -> str:
    """Publish a folder as OpenNeuro does: content on the server, and an exported S3 remote in the git-annex branch.

    ``work`` becomes the repository; files of the patterns ``large`` are annexed (MD5E) and then dropped from it, so
    that the server alone has them. ``work``.bundle beside it can be cloned, and holds no content. No version is
    recorded for any key, unless ``versions``; where the tree was exported is, if ``exported`` (later versions of
    git-annex then find the content by its path). Gives the commit.
    """
    run(work, "git", "init", "-q", "-b", "master")
    run(work, "git", "annex", "init", "-q", "publisher")
    (work / ".datalad").mkdir(exist_ok=True)
    (work / ".datalad/config").write_text(f'[datalad "dataset"]\n\tid = 00000000-0000-0000-0000-{accession:0>12}\n')
    annexed = sorted({path for pattern in large for path in work.glob(pattern)})
    for path in annexed:
        server.contents[f"{BUCKET}/{accession}/{path.relative_to(work).as_posix()}"] = path.read_bytes()
    names = [path.relative_to(work).as_posix() for path in annexed]
    run(work, "git", "annex", "add", "-q", "--backend=MD5E", "--force-large", *names)
    run(work, "git", "-c", "annex.largefiles=nothing", "add", ".")
    run(work, "git", "commit", "-q", "-m", "published")
    keys = {run(work, "git", "annex", "lookupkey", name): Path(name) for name in names}
    present = "".join(f"{key} {remote} 1\n" for key in keys for remote in (REMOTE, PRIVATE))
    run(work, "git", "annex", "setpresentkey", "--batch", text=present)
    _record_remotes(server, accession, work, keys if versions else {}, exported)
    run(work, "git", "annex", "drop", "-q", "--force", *names)
    run(work, "git", "bundle", "create", "-q", str(work.with_suffix(".bundle").resolve()), "master", "git-annex")
    return run(work, "git", "rev-parse", "HEAD")


def _record_remotes(server: Server, accession: str, work: Path, versioned: dict[str, Path], exported: bool) -> None:
    """Write the settings of both remotes (and versions of keys) into the git-annex branch."""
    common = (
        f"datacenter=US encryption=none exporttree=yes fileprefix={accession}/ host=127.0.0.1 partsize=1GiB "
        f"port={server.server_address[1]} storageclass=STANDARD type=S3 versioning=yes"
    )
    remotes = (
        f"{REMOTE} autoenable=true bucket={BUCKET} name=s3-PUBLIC public=yes publicurl={server.url}/{BUCKET} {common} "
        "timestamp=1597694087s\n"
        f"{PRIVATE} autoenable=true bucket=private name=s3-PRIVATE public=no publicurl=no {common} "
        "timestamp=1541104830s\n"
    )
    uuids = f"{REMOTE} s3-PUBLIC timestamp=1536690653s\n{PRIVATE} s3-PRIVATE timestamp=1536329439s\n"
    listed = run(work, "git", "ls-tree", "-r", "--name-only", "git-annex").splitlines()
    change = {name: run(work, "git", "show", f"git-annex:{name}") + "\n" for name in listed if name == "uuid.log"}
    change["uuid.log"] += uuids
    change["remote.log"] = remotes
    if exported:
        publisher, tree = run(work, "git", "config", "annex.uuid"), run(work, "git", "rev-parse", "HEAD^{tree}")
        change["export.log"] = f"1594679813s {publisher}:{REMOTE} {tree}\n"
    for key, path in versioned.items():
        name = next(name for name in listed if name.endswith(f"/{key}.log"))
        change[f"{name}.rmet"] = f"1536690700s {REMOTE}:V +version-1#{accession}/{path.as_posix()}\n"
    index = {"GIT_INDEX_FILE": str(work.resolve() / ".git/annex-branch-index")}
    run(work, "git", "read-tree", "git-annex", **index)
    for name, text in change.items():
        blob = run(work, "git", "hash-object", "-w", "--stdin", text=text)
        run(work, "git", "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", **index)
    tree = run(work, "git", "write-tree", **index)
    tip = run(work, "git", "commit-tree", tree, "-p", "git-annex", "-m", "remotes")
    run(work, "git", "update-ref", "refs/heads/git-annex", tip)


def write_bids(folder: Path, data: Path | None, n_runs: int = 2) -> None:
    """Write two subjects with runs of real BOLD (Haxby et al. 2001, half a slice each), or of noise where it is not.

    Each has the events of its runs; the mask is common to all. A third subject is broken as published: half a file, and
    a web page.
    """
    folder.mkdir(parents=True)
    source = data / "haxby2001" if data else None
    (folder / "mask.nii.gz").write_bytes((source / "mask.nii.gz").read_bytes() if source else _noise((20, 20, 1), 0))
    (folder / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n")
    for place in range(2 * n_runs):
        subject, run_ = f"sub-0{1 + place // n_runs}", f"run-0{1 + place % n_runs}"
        here = folder / subject / "func"
        here.mkdir(parents=True, exist_ok=True)
        name = here / f"{subject}_task-objects_{run_}"
        there = source / f"haxby2001/sub001/BOLD/task001_run{place + 1:03d}" if source else None
        bold = (there / "bold_1slice.nii.gz").read_bytes() if there else _noise((20, 20, 1, 121), place)
        events = (there / "bold_events.tsv").read_text() if there else _blocks()
        name.with_name(f"{name.name}_bold.nii.gz").write_bytes(bold)
        name.with_name(f"{name.name}_events.tsv").write_text(events)
    broken = folder / "sub-03/func"
    shutil.copytree(folder / "sub-02/func", broken)
    for place, path in enumerate(sorted(broken.iterdir())):
        path = path.rename(path.with_name(path.name.replace("sub-02", "sub-03")))
        if path.name.endswith(".nii.gz"):
            path.write_bytes(PAGE if place else path.read_bytes()[:50_000])


def _noise(shape: tuple[int, ...], seed: int) -> bytes:
    voxels = np.random.default_rng(seed).integers(100, 1000, shape).astype(np.int16)
    image = nib.Nifti1Image(voxels, np.eye(4))
    image.header.set_zooms((*[1.0] * 3, *[2.5] * (len(shape) - 3)))
    return gzip.compress(image.to_bytes(), mtime=0)


def _blocks() -> str:
    kinds = ("face", "house", "cat", "shoe", "chair", "bottle", "scissors", "scrambledpix")
    rows = [f"{15 + 35 * place}\t22.5\t{kind}" for place, kind in enumerate(kinds)]
    return "\n".join(["onset\tduration\ttrial_type", *rows]) + "\n"
