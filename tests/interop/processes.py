"""Where the clients are installed, and how they are run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

HOME = Path(__file__).parents[2] / ".venv-interop"
BIN = HOME / "bin"
NODE_MODULES = HOME / "node" / "node_modules"
CUMULUSCI_BIN = HOME / "cumulusci" / "bin"
SF_BIN = HOME / "sf" / "node_modules" / ".bin"
SCRIPTS = Path(__file__).parent / "scripts"
TIMEOUT_SECONDS = 120


def runner(client: str) -> Path:
    """Return what runs the script of a client."""
    match client:
        case "jsforce":
            return BIN / "node"
        case "cumulusci":
            return CUMULUSCI_BIN / "python"
    return BIN / "python"


def run(
    *command: str | Path,
    environment: Mapping[str, str],
    folder: Path | None = None,
    status: int = 0,
) -> str:
    """Run a client, which has to end with that status, and return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done.stdout
