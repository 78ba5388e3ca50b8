"""A machine on which nobody has set up git."""

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """A home without git settings: no user.name, no user.email."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in list(os.environ):
        if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    # what the module itself sets must go with the test
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.setenv(f"GIT_{role}_{part}", "test")
            monkeypatch.delenv(f"GIT_{role}_{part}")
