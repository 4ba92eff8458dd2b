"""Cells of a notebook, run by a real IPython in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_BETWEEN = "# %% next cell\n"
_SESSION = f"""
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="nocolor")
for cell in sys.stdin.read().split({_BETWEEN!r}):
    shell.run_cell(cell, store_history=True)
"""


def run_cells(folder: Path, cells: Sequence[str], **environment: str) -> str:
    """Run cells one after the other, and return all that was printed, tracebacks too."""
    done = subprocess.run(
        [sys.executable, "-c", _SESSION],
        input=_BETWEEN.join(cells),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        env=os.environ | {"IPYTHONDIR": str(folder)} | environment,
    )
    return done.stdout
