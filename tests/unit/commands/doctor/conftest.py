"""A made-up machine to start ``doctor`` on."""

import socket

import pytest

from boldflow.commands.doctor import asking
from tests.made.slurm_clients import Machine


@pytest.fixture
def here(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(asking, "HOSTS", [f"127.0.0.1:{server.getsockname()[1]}"])
        yield Machine(tmp_path, monkeypatch)
