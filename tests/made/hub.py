"""A hub of networks on 127.0.0.1, as far as a download at a pinned commit needs one."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Hub(ThreadingHTTPServer):
    """Serves the files of a folder as one repository at one commit; ``asked`` lists what was asked."""

    daemon_threads = True

    def __init__(self, folder: Path, repository: str, commit: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.repository, self.commit = folder, repository, commit
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        hub, path = self.server, self.path.partition("?")[0]
        hub.asked.append(f"{self.command} {path}")
        files = sorted(one for one in hub.folder.iterdir() if one.is_file())
        headers = {"X-Repo-Commit": hub.commit, "Content-Type": "application/json"}
        if path == f"/api/models/{hub.repository}/revision/{hub.commit}":
            siblings = [{"rfilename": one.name} for one in files]
            content = json.dumps({"id": hub.repository, "sha": hub.commit, "siblings": siblings}).encode()
        elif path == f"/api/models/{hub.repository}/tree/{hub.commit}":
            rows = [{"type": "file", "path": one.name, "size": one.stat().st_size, "oid": "0" * 40} for one in files]
            content = json.dumps(rows).encode()
        elif path.startswith(f"/{hub.repository}/resolve/{hub.commit}/"):
            content = (hub.folder / path.rpartition("/")[2]).read_bytes()
            headers |= {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Content-Type": "application/octet-stream"}
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextmanager
def serving(folder: Path, repository: str, commit: str) -> Iterator[Hub]:
    """Serve a folder for as long as the block lasts."""
    hub = Hub(folder, repository, commit)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
