"""The sandbox as tests use it: in this process, on a clock that is turned by hand."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import bulknb
from bulknb.sandbox import ManualClock, Sandbox

# A deadline measures the machine, and fails on a busy one.
settings.register_profile("bulknb", deadline=None)
settings.load_profile("bulknb")

SAMPLES = Path(__file__).parent / "data" / "samples"


def pytest_configure(config: pytest.Config) -> None:
    """Give notebooks, whose kernels are no test's, a ledger that is not the user's either."""
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    os.environ["BULKNB_LEDGER"] = str(Path(folder.name) / "ledger.sqlite")


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of this test alone, never the one of whoever runs it."""
    path = tmp_path / "ledger" / "ledger.sqlite"
    monkeypatch.setenv("BULKNB_LEDGER", str(path))
    return path


@pytest.fixture
def samples() -> Path:
    return SAMPLES


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(clock=ManualClock(), seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def org(sandbox: Sandbox) -> bulknb.Org:
    return sandbox.connect(in_process=True)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C works, also where the tests run in the background and it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
