"""A job that executes what its digest does not cover is seen, under this Python and others."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.made.packages import Case

# the package of the project is that of the made one: its symbols look at the made job
PROGRAM = """
import json, sys
from pathlib import Path
sys.path.insert(0, {sources!r})
from boldflow.symbols import watching
from boldflow.symbols.package import Package
from boldflow.symbols.reach import Reach
import boldflow
root = Path({root!r})
watching._PREFIX = f"{{root}}/"
watching.atexit.register = lambda f: None
watching.begin()
boldflow.__path__.insert(0, str(root))
import importlib
job = importlib.import_module("boldflow.stages.job")
job.run()
sys.setprofile(None)
print(json.dumps(watching.outside(watching._executed.values(), Reach(Package(root)), {roots!r})))
"""
JOB = Case(
    "from boldflow.made.a import f, TABLE\ndef run():\n    return f(), TABLE['x'](1), other()\n"
    "def other():\n    return [i for i in range(2)]\n"
    "== made/a.py\nfrom boldflow.made import b\nclass C:\n    names = [name for name in 'ab']\n    def m(self):\n"
    "        return (lambda: 1)()\ndef f():\n    return C().m()\nTABLE = {'x': lambda n: n}\n== made/b.py\nN = 1\n",
    *("", "", ""),
)
WHOLE = "boldflow.stages.job:run"


def outside(folder, roots, python=sys.executable):
    root = JOB.write(folder)
    program = PROGRAM.format(sources=str(ROOT / "src"), root=str(root), roots=roots)
    done = subprocess.run(
        [python, "-B", "-S", "-c", program],
        env={"PATH": "", "BOLDFLOW_WATCH_CODE": "trace" if "3.11" in python or python == sys.executable else "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pythons():
    names = [sys.executable, *(f"python{version}" for version in ("3.12", "3.13"))]
    return [name for name in names if shutil.which(name)]


@pytest.mark.parametrize("python", pythons())
def test_what_a_job_executes_beyond_its_digest_is_named(tmp_path, python):
    path = shutil.which(python)
    asked = subprocess.run(
        [path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        pytest.skip(f"{python} does not start")
    assert outside(tmp_path, [WHOLE], asked.stdout.strip()) == []
    missing = outside(tmp_path, ["boldflow.stages.job:other"], asked.stdout.strip())
    assert missing == [
        *("boldflow.made.a:<lambda>", "boldflow.made.a:C.m", "boldflow.made.a:C.m.<locals>.<lambda>"),
        *("boldflow.made.a:f", "boldflow.stages.job:run"),
    ]
