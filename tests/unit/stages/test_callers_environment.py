"""What the caller's environment says of matplotlib reaches no job."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "TkAgg", "no such thing"])
def test_a_backend_that_is_not_there_is_not_asked_for(backend):
    """As Jupyter names one for all that a cell starts."""
    code = "from boldflow.stages.studies import draw_figure; import matplotlib; print(matplotlib.get_backend())"
    environment = {**os.environ, "MPLBACKEND": backend}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0 and answer.stdout.strip().lower() == "agg", answer.stderr
